"""The predictor that looks back: what it keeps between steps changes nothing."""

import pytest
import torch

from telos.types import ActionSpace
from telos.world_model import History

SPACE = ActionSpace((-2.0, -1.0), (2.0, 1.0), block=3, held=False)


def new_predictor(**changes):
    torch.manual_seed(0)
    settings = History(**{"depth": 2, "heads": 2, "head_size": 4, "hidden": 16, "projection": 12, **changes})
    predictor = settings.build(size=6, frames=1, space=SPACE, keypoints=0, scene_channels=0).double()
    for value in predictor.parameters():
        torch.nn.init.normal_(value, std=0.4)
    return predictor.eval()


def noise(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tokens", [1, 3])
@pytest.mark.parametrize("length", [1, 2, 3, 7])
def test_imagining_is_predicting_from_each_window_anew(length, tokens):
    predictor = new_predictor(length=length, tokens=tokens)
    begin, blocks = noise(2, 3, 6), noise(2, 3, 5, 6, seed=2)
    states = [begin.flatten(0, 1)]
    for step in range(5):
        window = slice(max(0, step + 1 - length), step + 1)
        states.append(predictor(torch.stack(states[window], 1), blocks.flatten(0, 1)[:, window])[:, -1])
    torch.testing.assert_close(predictor.imagine(begin, blocks, None).flatten(0, 1), torch.stack(states, 1))


@pytest.mark.parametrize("tokens", [1, 3])
def test_a_prediction_sees_no_later_state_or_action(tokens):
    predictor, states, blocks = new_predictor(tokens=tokens), noise(2, 3, 6), noise(2, 3, 6, seed=2)
    later_states, later_blocks = states.clone(), blocks.clone()
    later_states[:, 2], later_blocks[:, 2] = 9.0, 9.0
    found, other = predictor(states, blocks), predictor(later_states, later_blocks)
    torch.testing.assert_close(found[:, :2], other[:, :2])
    assert not torch.allclose(found[:, 2], other[:, 2])


def test_tokens_of_patches_see_all_of_their_own_time():
    predictor, states, blocks = new_predictor(tokens=3), noise(1, 2, 6), noise(1, 2, 6, seed=2)
    states.requires_grad_()
    predictor(states, blocks)[0, 0, 0].backward()  # of the first patch, one block after the first state
    assert (states.grad[0, 0] != 0).all()
    assert (states.grad[0, 1] == 0).all()


def test_the_energy_of_what_is_imagined_has_the_gradient_of_finite_differences():
    predictor = new_predictor().requires_grad_(False)

    def energy(blocks):
        return predictor.imagine(noise(1, 2, 6), blocks, None)[:, :, -1].square().sum(-1)

    assert torch.autograd.gradcheck(energy, (noise(1, 2, 4, 6, seed=2).requires_grad_(),))


def test_a_new_predictor_ignores_its_actions():
    """The modulations of AdaLN-zero begin at zero: no block does anything yet."""
    torch.manual_seed(0)
    predictor = History(depth=1).build(size=6, frames=1, space=SPACE, keypoints=0, scene_channels=0).eval()
    one, other = (
        predictor(torch.ones(1, 1, 6), blocks)
        for blocks in torch.tensor([0.0, 1.0]).expand(6, 2).T[:, None, None]
    )
    torch.testing.assert_close(one, other)


def test_a_scene_is_refused():
    with pytest.raises(ValueError, match="knows no scene"):
        History().build(size=6, frames=1, space=SPACE, keypoints=2, scene_channels=2)


@pytest.mark.parametrize("change", [{"length": 0}, {"heads": 0}, {"dropout": 1.0}, {"dropout": -0.1}])
def test_impossible_sizes_are_refused(change):
    with pytest.raises(ValueError, match=r"must be .*; got"):
        History(**change)
