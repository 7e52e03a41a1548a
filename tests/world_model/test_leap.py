"""The predictor that leaps a block at a time."""

import pytest
import torch
from torch import nn

from telos.types import ActionSpace
from telos.world_model import Leap

SPACE = ActionSpace((-2.0, -1.0), (2.0, 1.0), block=3, held=False)


def new_predictor(*, trained=True):
    torch.manual_seed(0)
    predictor = Leap(hidden=8).build(size=5, frames=1, space=SPACE, keypoints=0, scene_channels=0)
    for value in predictor.parameters() if trained else ():
        nn.init.normal_(value, std=0.4)
    return predictor.double()


def noise(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_at_first_nothing_changes():
    states = noise(4, 5)
    assert torch.equal(new_predictor(trained=False)(states, noise(4, 6, seed=2)), states)


def test_a_leap_adds_a_linear_and_a_smooth_function_of_state_and_scaled_actions():
    predictor, states, blocks = new_predictor(), noise(4, 5), noise(4, 6, seed=2)
    known = torch.cat([states, blocks / torch.tensor([2.0, 1.0] * 3)], -1)
    expected = states + predictor.linear(known) + predictor.network(known) / 10
    torch.testing.assert_close(predictor(states, blocks), expected)
    assert any(isinstance(part, nn.SiLU) for part in predictor.network)


def test_imagining_is_one_leap_after_the_other():
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


def test_half_precision_around_it_does_not_blur_states():
    predictor, states, blocks = new_predictor().float(), noise(4, 5).float(), noise(4, 6).float()
    with torch.autocast("cpu", torch.bfloat16):
        found = predictor(states, blocks)
    assert torch.equal(found, predictor(states, blocks))


def test_a_scene_is_refused():
    with pytest.raises(ValueError, match="knows no scene"):
        Leap().build(size=5, frames=1, space=SPACE, keypoints=1, scene_channels=2)


@pytest.mark.parametrize("sizes", [{"hidden": 0}, {"layers": 0}])
def test_sizes_are_at_least_one(sizes):
    with pytest.raises(ValueError, match="hidden and layers must be at least 1"):
        Leap(**sizes)
