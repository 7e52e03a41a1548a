"""What is trained on frozen states: the decoder."""

import torch

from telos.training.heads import decoder_step
from telos.training.train import _new_model, model_config


def test_the_decoder_sees_what_moves_beside_the_scene_of_another_frame_of_the_window(store, recipe):
    model, found, given = _new_model(model_config(store, recipe), store, recipe, 0), [], []
    model.encoder.register_forward_hook(lambda module, inputs, outputs: found.append(outputs))
    model.decoder.register_forward_pre_hook(lambda module, inputs: given.append(inputs))
    decoder_step(model, store, 10)(torch.Generator().manual_seed(0), 0)
    (moving, scenes), (drawn, beside) = found[0], given[0]
    assert torch.equal(moving, drawn)
    scenes, beside = (each.unflatten(0, (2, 5)) for each in (scenes, beside))
    same = (scenes[:, None] == beside[:, :, None]).flatten(3).all(3)  # [window, drawn frame, frame]
    assert same.any(2).all()
    assert not same.diagonal(dim1=1, dim2=2).any()
