"""How often slopes point the right way, on energies where that is known."""

import pytest
import torch

from telos.actor import slopes
from telos.types import ActionSpace, Trajectory
from tests.actor.point import Formula, Setting, problem, push


def energy(function, **changes):
    """A problem of one block whose energy is a function of its action, from the place 0."""
    cost = Formula(lambda t: function(t.actions[:, :, 0])[:, :, None])
    return problem([[0.0, 0.0]], [[4.0, 0.0]], horizon=1, cost=cost, **changes)


def test_on_a_parabola_the_slope_keeps_what_it_promises_less_the_curvature():
    case = problem([[0.0, 0.0]], [[4.0, 0.0]], horizon=1)
    found = slopes(case, torch.zeros(1, 1, 1, 2), towards=torch.tensor([[[2.0, 0.0]]]), lengths=(0.1, 0.5))
    assert found.falls.all()
    assert found.counts.all()
    # Steps are 0.2 and 1.0 of the 4.0 to the minimum: (f(0) - f(d)) / (8 d) = 1 - d / 8.
    torch.testing.assert_close(found.kept[0, 0], torch.tensor([1 - 0.2 / 8, 1 - 1.0 / 8]))
    torch.testing.assert_close(found.cosine, torch.ones(1, 1))
    torch.testing.assert_close(found.size, torch.full((1, 1, 1), 16.0))  # 8 per unit, 2 units in half a range


def test_where_the_energy_is_rough_only_short_steps_go_down():
    def rough(action):
        return -action[..., 0] + 0.5 * (60 * action[..., 0]).sin()

    actions = torch.linspace(-1.5, 1.5, 200)[None, :, None, None] * torch.tensor([1.0, 0.0])
    share = slopes(energy(rough), actions, lengths=(0.002, 0.05, 0.5)).share
    assert share[0] > 0.95
    assert share[1] < 0.7  # hardly better than a coin, or worse
    assert share[2] < 0.7


def test_down_may_lead_away_from_the_best_plan():
    def trap(action):  # the best is at 1.5, behind a hill
        return torch.where(
            action[..., 0] < 0.5, (action[..., 0] + 1).square(), (action[..., 0] - 1.5).square() - 1
        )

    starts = torch.tensor([[[[0.0, 0.0]], [[1.0, 0.0]]]])
    found = slopes(energy(trap), starts, towards=torch.tensor([[[1.5, 0.0]]]))
    torch.testing.assert_close(found.cosine, torch.tensor([[-1.0, 1.0]]))
    assert found.falls[..., 0].all()


def test_candidates_that_cannot_go_down_do_not_count():
    def cost(action):
        return torch.where(action[..., 1] > 1, torch.nan, -action[..., 0])

    # Inside, on the bound that down leads through, and where the energy is not a number.
    actions = torch.tensor([[[[0.0, 0.0]], [[2.0, 0.0]], [[0.0, 1.5]]]])
    found = slopes(energy(cost), actions)
    assert found.counts.tolist() == [[True, False, False]]
    assert found.share.tolist() == [1.0] * 4


def test_the_size_tells_of_a_slope_that_vanishes_over_the_horizon():
    def forgetful(state, actions):  # x' = x / 2 + a
        states = [state[:, None].expand(-1, actions.shape[1], -1)]
        for action in actions.unbind(2):
            states.append(states[-1] / 2 + action)
        return Trajectory(torch.stack(states, 2)[:, :, None], actions)

    last = Formula(lambda t: t.states[..., -1, 0])
    case = problem([[0.0, 0.0]], [[0.0, 0.0]], horizon=5, cost=last, setting=Setting(rollout=forgetful))
    size = slopes(case, torch.zeros(1, 2, 5, 2)).size
    torch.testing.assert_close(size, 2 * 0.5 ** torch.arange(4.0, -1, -1).expand(1, 2, 5))


def test_problems_are_looked_at_apart_and_in_their_own_bounds():
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0), max_norm=1.0)
    state, target = torch.tensor([[0.0, 0.0, 0.0, 0.0], [5.0, 0.0, 1.0, 0.0]]), [[4.0, 0.0], [0.0, 0.0]]
    setting = Setting(space, push)
    actions = torch.randn(2, 7, 4, 2, generator=torch.Generator().manual_seed(0))
    both = slopes(problem(state, target, horizon=4, setting=setting), actions)
    for row in range(2):
        case = problem(state[row : row + 1], target[row : row + 1], horizon=4, setting=setting)
        alone = slopes(case, actions[row : row + 1])
        torch.testing.assert_close(alone.kept[0], both.kept[row])
        assert torch.equal(alone.falls[0], both.falls[row])


def test_a_plan_of_the_wrong_shape_to_compare_with_is_named():
    with pytest.raises(ValueError, match=r"towards must have shape \[B, T, size\] = \[1, 1, 2\]"):
        slopes(problem([[0.0, 0.0]], [[4.0, 0.0]]), torch.zeros(1, 3, 1, 2), towards=torch.zeros(1, 2))
