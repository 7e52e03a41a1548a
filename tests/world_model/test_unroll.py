"""Unrolling a predictor: the same as a slow loop, and differentiable."""

import functools

import pytest
import torch

from telos.world_model import InverseDynamics, unroll, unroll_each
from tests.world_model.noisy import new_predictor, noise


@pytest.fixture
def predictor():
    return new_predictor()


@pytest.fixture
def predict(predictor):
    """Of three problems, each in a scene of its own."""
    return functools.partial(predictor, scene=noise(3, 2, 8, 8))


def test_unroll_is_a_slow_loop(predict):
    state, actions = noise(3, 2, 4), noise(3, 2, 5, 6)
    expected = state
    for step in range(5):
        expected = predict(expected, actions[:, :, step])
    found = unroll(predict, state, actions)
    assert found.shape == (3, 2, 6, 4)
    assert torch.equal(found[:, :, 0], state)
    assert torch.allclose(found[:, :, -1], expected, atol=1e-12)


def test_a_later_action_does_not_change_earlier_states(predict):
    actions = noise(3, 1, 4, 2)
    changed = actions.clone()
    changed[:, :, 2] += 1
    before, after = (unroll(predict, noise(3, 1, 4), each) for each in (actions, changed))
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert not torch.allclose(before[:, :, 3], after[:, :, 3])


def test_unroll_takes_states_of_any_shape():
    found = unroll(lambda state, action: state + action.sum(), torch.zeros(2, 3, 4), torch.ones(2, 5, 1))
    assert found.shape == (2, 6, 3, 4)


def test_the_energy_of_a_rollout_has_the_gradient_of_finite_differences(predictor, predict):
    predictor.requires_grad_(False)
    state, goal = 0.5 * noise(3, 2, 4), noise(3, 1, 1, 4)

    def energy(actions):
        return (unroll(predict, state, actions)[:, :, 1:] - goal).square().mean((1, 2, 3))

    assert torch.autograd.gradcheck(energy, (noise(3, 2, 3, 2).requires_grad_(),))


def test_inverse_dynamics_tells_the_order_of_the_states():
    inverse = InverseDynamics(state_size=5, action_size=2).double()
    states, following = noise(3, 5), noise(3, 5).flip(0)
    assert inverse(states, following).shape == (3, 2)
    assert not torch.allclose(inverse(states, following), inverse(following, states))


@pytest.mark.parametrize("ahead", [1, 2, 5, 9, None])
def test_each_state_is_imagined_from_the_one_so_many_steps_before(predict, ahead):
    states, actions = noise(3, 6, 4), noise(3, 5, 6)
    found = unroll_each(predict, states, actions, ahead=ahead)
    assert torch.equal(found[:, 0], states[:, 0])
    for time in range(1, 6):
        begin = max(0, time - (ahead or 5))
        expected = states[:, None, begin]
        for step in range(begin, time):
            expected = predict(expected, actions[:, None, step])
        assert torch.allclose(found[:, time], expected[:, 0], atol=1e-12)


def test_imagining_no_step_ahead_is_refused(predict):
    with pytest.raises(ValueError, match="at least 1, or None"):
        unroll_each(predict, noise(3, 6, 4), noise(3, 5, 6), ahead=0)
