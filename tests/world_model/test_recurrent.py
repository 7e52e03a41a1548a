"""The recurrent predictor: a GRU whose state is what moves."""

import pytest
import torch
from torch import nn

from telos.types import ActionSpace
from telos.world_model import Recurrent

SPACE = ActionSpace((-2.0, -1.0), (2.0, 1.0), block=3, held=False)


def new_predictor(**changes):
    torch.manual_seed(0)
    predictor = Recurrent(**changes).build(size=5, frames=1, space=SPACE, keypoints=0, scene_channels=0)
    for value in predictor.parameters():
        nn.init.normal_(value, std=0.4)
    return predictor.double()


def noise(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_it_is_a_gru_that_is_told_the_scaled_actions():
    predictor, states, blocks = new_predictor(normalised=False), noise(4, 5), noise(4, 6, seed=2)
    cell = nn.GRUCell(6, 5).double()
    cell.weight_ih.data, cell.bias_ih.data = predictor.told.weight.data, predictor.told.bias.data
    cell.weight_hh.data, cell.bias_hh.data = predictor.kept.weight.data, predictor.kept.bias.data
    scaled = blocks / torch.tensor([2.0, 1.0] * 3)
    torch.testing.assert_close(predictor(states, blocks), cell(scaled, states))


def test_what_comes_next_is_normalised():
    predictor, states, blocks = new_predictor(), noise(4, 5), noise(4, 6, seed=2)
    nn.init.ones_(predictor.norm.weight)
    nn.init.zeros_(predictor.norm.bias)
    plain = new_predictor(normalised=False)(states, blocks)
    torch.testing.assert_close(predictor(states, blocks), nn.functional.layer_norm(plain, (5,)))


def test_imagining_is_one_block_after_the_other():
    predictor, states, blocks = new_predictor(), noise(2, 3, 5), noise(2, 3, 4, 6, seed=2)
    expected = [states]
    for time in range(4):
        expected.append(predictor(expected[-1], blocks[:, :, time], None))
    torch.testing.assert_close(predictor.imagine(states, blocks, None), torch.stack(expected, 2))


def test_the_energy_of_what_is_imagined_has_the_gradient_of_finite_differences():
    predictor = new_predictor().requires_grad_(False)

    def energy(blocks):
        return predictor.imagine(noise(1, 2, 5), blocks, None)[:, :, -1].pow(3).sum(-1)

    assert torch.autograd.gradcheck(energy, (noise(1, 2, 3, 6, seed=2).requires_grad_(),))


def test_a_scene_is_refused():
    with pytest.raises(ValueError, match="knows no scene"):
        Recurrent().build(size=6, frames=1, space=SPACE, keypoints=2, scene_channels=2)
