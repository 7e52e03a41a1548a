"""LeWM's weights: what comes out is what LeWM's formula says, and they go back as they came."""

import pytest
import safetensors.torch
import torch

from telos.errors import CheckpointError
from telos.interchange import lewm_weights, load_lewm
from telos.model import Model, ModelConfig
from telos.perception import Patches
from telos.types import ActionSpace, Observation
from telos.world_model import History
from tests.lewm_formula import embed, predict, random_weights

CONFIG = ModelConfig(
    world="test",
    frame_shape=(8, 8, 3),
    action_space=ActionSpace((-1.0, -1.0), (1.0, 1.0), block=3, held=False),
    perception=Patches(8, resolution=8, grid=2, patch=4, width=12, depth=2, heads=3, projection=10),
    predictor=History(depth=2, heads=4, head_size=4, hidden=20, projection=10),
    recovered="none",
)
HEADS = {"encoder": 3, "predictor": 4}


def noise(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.usefixtures("single_precision")
def test_embeddings_are_those_of_the_formula():
    pixels = torch.randint(256, (3, 1, 3, 8, 8), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    found = load_lewm(random_weights(), CONFIG).encode(Observation(pixels))
    expected = embed(random_weights(), pixels[:, 0], heads=HEADS["encoder"])
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_imagined_states_are_those_of_the_formula_with_a_sliding_window():
    weights, model = random_weights(), load_lewm(random_weights(), CONFIG)
    states, actions = [noise(4, 8)], noise(1, 4, 6, 6)
    for step in range(6):
        window = slice(max(0, step - 2), step + 1)
        seen = torch.stack(states[window], 1)
        states.append(predict(weights, seen, actions[0, :, window], heads=HEADS["predictor"]))
    with torch.no_grad():
        found = model.predictor.imagine(states[0][None], actions, None)
    torch.testing.assert_close(found[0], torch.stack(states, 1), rtol=1e-4, atol=1e-4)


def test_actions_are_standardised_as_the_data_set_was():
    mean, deviation = torch.tensor([0.5, -1.0]), torch.tensor([2.0, 0.25])
    plain = load_lewm(random_weights(), CONFIG).predictor
    told = load_lewm(random_weights(), CONFIG, action_mean=mean, action_deviation=deviation).predictor
    actions, begin = noise(1, 5, 2, 3, 2), noise(1, 5, 8, seed=3)
    expected = plain.imagine(begin, actions.flatten(3), None)
    found = told.imagine(begin, (actions * deviation + mean).flatten(3), None)
    torch.testing.assert_close(found, expected)


def test_weights_go_back_as_they_came():
    weights = random_weights()
    back = lewm_weights(load_lewm(weights, CONFIG))
    assert back.keys() == weights.keys()
    assert all(torch.equal(back[name], value) for name, value in weights.items())


def test_a_file_with_the_older_names_of_the_vision_transformer_is_the_same_model(tmp_path):
    older = {
        name.replace("encoder.layers.", "encoder.encoder.layer.")
        .replace("attention.q_proj", "attention.attention.query")
        .replace("attention.k_proj", "attention.attention.key")
        .replace("attention.v_proj", "attention.attention.value")
        .replace("attention.o_proj", "attention.output.dense")
        .replace("mlp.fc1", "intermediate.dense")
        .replace("mlp.fc2", "output.dense"): value
        for name, value in random_weights().items()
    }
    safetensors.torch.save_file(older, tmp_path / "lewm.safetensors")
    found, same = load_lewm(tmp_path / "lewm.safetensors", CONFIG), load_lewm(random_weights(), CONFIG)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("predictor.pos_embedding"), "have no 'predictor.pos_embedding'"),
        (lambda weights: weights.update(extra=torch.zeros(1)), "hold 'extra'"),
        (lambda weights: weights.update({"encoder.layernorm.bias": torch.zeros(3)}), "which does not fit"),
    ],
)
def test_weights_of_another_shape_are_refused(change, message):
    weights = random_weights()
    change(weights)
    with pytest.raises(CheckpointError, match=message):
        load_lewm(weights, CONFIG)


def test_a_file_that_is_no_weights_is_refused(tmp_path):
    (tmp_path / "lewm.safetensors").write_text("no")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_lewm(tmp_path / "lewm.safetensors", CONFIG)


def test_only_a_lewm_has_lewm_weights():
    other = ModelConfig("test", (8, 8, 3), ActionSpace((-1.0,), (1.0,)))
    with pytest.raises(ValueError, match=r"LeWM is perception=Patches"):
        lewm_weights(Model(other))


def test_the_published_shape_has_18_million_parameters():
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0), block=5, held=False)
    with torch.device("meta"):
        model = Model(
            ModelConfig(
                "w", (224, 224, 3), space, perception=Patches(), predictor=History(), recovered="none"
            )
        )
    assert sum(value.numel() for value in model.parameters()) == 18_034_478
