"""Unrolling a predictor: the same as a slow loop, and differentiable."""

import pytest
import torch

from telos.world_model import InverseDynamics, ResidualPredictor, unroll


@pytest.fixture
def predictor():
    torch.manual_seed(0)
    return ResidualPredictor(
        state_size=5, action_scale=torch.tensor([2.0, 0.5]), hidden=16, layers=3
    ).double()


def noise(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_unroll_is_a_slow_loop(predictor):
    state, actions = noise(3, 5), noise(3, 4, 2)
    expected = state[1:2]
    for step in range(4):
        expected = predictor(expected, actions[1:2, step])
    found = unroll(predictor, state, actions)
    assert found.shape == (3, 5, 5)
    assert torch.equal(found[:, 0], state)
    assert torch.allclose(found[1:2, -1], expected, atol=1e-12)


def test_a_later_action_does_not_change_earlier_states(predictor):
    actions = noise(1, 4, 2)
    changed = actions.clone()
    changed[:, 2] += 1
    before, after = (unroll(predictor, noise(1, 5), each) for each in (actions, changed))
    assert torch.equal(before[:, :3], after[:, :3])
    assert not torch.allclose(before[:, 3], after[:, 3])


def test_unroll_takes_states_of_any_shape():
    found = unroll(lambda state, action: state + action.sum(), torch.zeros(2, 3, 4), torch.ones(2, 5, 1))
    assert found.shape == (2, 6, 3, 4)


def test_the_energy_of_a_rollout_has_the_gradient_of_finite_differences(predictor):
    predictor.requires_grad_(False)
    state, goal = noise(2, 5), noise(2, 1, 5)

    def energy(actions):
        return (unroll(predictor, state, actions)[:, 1:] - goal).square().mean((1, 2))

    assert torch.autograd.gradcheck(energy, (noise(2, 3, 2).requires_grad_(),))


def test_the_predictor_scales_actions_to_about_one(predictor):
    seen = []
    predictor.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    predictor(noise(1, 5), torch.tensor([[0.5, 2.0]], dtype=torch.float64))
    assert seen[0][0, 5:].tolist() == [1.0, 1.0]


def test_a_predictor_whose_last_layer_is_zero_changes_nothing(predictor):
    torch.nn.init.zeros_(predictor.network[-1].weight)
    torch.nn.init.zeros_(predictor.network[-1].bias)
    assert torch.equal(predictor(noise(3, 5), noise(3, 2)), noise(3, 5))


def test_inverse_dynamics_tells_the_order_of_the_states():
    inverse = InverseDynamics(state_size=5, action_size=2).double()
    states, following = noise(3, 5), noise(3, 5).flip(0)
    assert inverse(states, following).shape == (3, 2)
    assert not torch.allclose(inverse(states, following), inverse(following, states))
