import math

import pytest
import torch

from telos.cost import Effort, Goal, ReadingGoal, energy, goal_state, keep_out
from telos.cost.regions import Box
from telos.types import Trajectory
from tests.cost.toy import place, rollout

torch.set_num_threads(1)


def imagined(B=2, S=3, T=4, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(B, 4, generator=generator, dtype=dtype)
    return rollout(state, torch.randn(B, S, T, 2, generator=generator, dtype=dtype))


def test_energy_is_the_mean_squared_difference():
    assert energy(torch.tensor([[1.0, 2, 3]]), torch.tensor([1.0, 0, 0])).tolist() == pytest.approx([13 / 3])


@pytest.mark.parametrize("reduction", ["arrive", "sum", "last", "min"])
def test_goal_reduces_the_distances_of_steps_one_to_T(reduction):
    trajectory, goal = imagined(), torch.randn(2, 4)
    steps = (trajectory.states[:, :, :, 1:] - goal[:, None, None, None]).square().mean(-1)
    mean, near, last = steps.mean(-1), steps.min(-1).values, steps[..., -1]
    expected = {"arrive": near + 0.1 * (mean + last), "sum": mean, "last": last, "min": near}[reduction]
    assert torch.allclose(Goal(goal, reduction)(trajectory), expected)


def test_late_weight_is_what_the_last_step_weighs_more_than_the_first():
    states = torch.zeros(1, 2, 1, 4, 1)
    states[0, 0, 0, 1], states[0, 1, 0, 3] = 1, 1  # far from the goal at the first step, or at the last
    goal = Goal(torch.zeros(1, 1), "sum", late_weight=9)
    first, last = goal(Trajectory(states, torch.zeros(1, 2, 3, 1)))[0, :, 0]
    assert (last / first).item() == pytest.approx(9)
    assert (first + last).item() == pytest.approx(10 / 13)


def test_a_goal_of_token_states_is_that_of_the_flat_ones():
    trajectory, goal = imagined(), torch.randn(2, 4)
    tokens = Trajectory(trajectory.states.unflatten(-1, (2, 2)), trajectory.actions)
    assert torch.allclose(Goal(goal.reshape(2, 2, 2))(tokens), Goal(goal)(trajectory))


def test_reading_goal_is_one_where_the_reading_is_off_by_scale():
    trajectory = imagined()
    value = place(trajectory.states[:, 0, 0, -1]) + torch.tensor([5.0, -5.0])
    cost = ReadingGoal(place, value, scale=5, reduction="last")
    assert torch.allclose(cost(trajectory)[:, 0], torch.ones(2, 1))


def test_a_value_that_may_be_anything_does_not_count():
    trajectory = imagined()
    free = ReadingGoal(place, torch.tensor([0.5, math.nan]))(trajectory)
    first = ReadingGoal(lambda states: states[..., :1], torch.tensor([0.5]))(trajectory)
    assert torch.allclose(free, first)


def test_effort_is_the_mean_squared_action_whatever_the_states():
    trajectory = imagined()
    assert torch.allclose(Effort()(trajectory)[..., 0], trajectory.actions.square().mean((2, 3)))


def test_costs_add_and_scale_like_formulas():
    trajectory, goal = imagined(), Goal(torch.randn(2, 4))
    formula = 2 * (goal + 0.1 * Effort() * 3)
    assert torch.allclose(formula(trajectory), 2 * goal(trajectory) + 0.6 * Effort()(trajectory))


def test_the_cost_of_some_problems_is_the_cost_of_all_at_those():
    trajectory = imagined(B=3)
    cost = Goal(torch.randn(3, 4)) + 0.5 * ReadingGoal(place, torch.randn(3, 2)) + Effort()
    whole = cost(trajectory)
    for index in (torch.tensor([2, 0]), torch.tensor([False, True, True])):
        part = Trajectory(trajectory.states[index], trajectory.actions[index])
        assert torch.allclose(cost.select(index)(part), whole[index])


def test_one_goal_can_be_shared_by_all_problems():
    trajectory, goal = imagined(B=3), torch.randn(1, 4)
    shared = Goal(goal).select(torch.tensor([True, False, True]))
    part = Trajectory(trajectory.states[[0, 2]], trajectory.actions[[0, 2]])
    assert torch.equal(shared(part), Goal(goal.expand(3, -1))(trajectory)[[0, 2]])


@pytest.mark.parametrize("reduction", ["arrive", "sum", "last", "min"])
def test_energy_has_the_gradient_of_finite_differences_through_the_rollout(reduction):
    generator = torch.Generator().manual_seed(1)
    state, goal = torch.randn(2, 2, 4, generator=generator, dtype=torch.float64)
    actions = torch.randn(2, 3, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    cost = Goal(goal, reduction, late_weight=3) + 0.3 * Effort() + ReadingGoal(place, goal[:, :2], scale=2)
    assert torch.autograd.gradcheck(lambda actions: cost(rollout(state, actions)), actions)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Goal(torch.zeros(1, 4), "mean"), "reduction"),  # type: ignore[arg-type]
        (lambda: Goal(torch.zeros(4)), r"\[B, \*state\]"),
        (lambda: Goal(torch.zeros(1, 4), late_weight=0), "late_weight"),
        (lambda: Goal(torch.zeros(5, 4))(imagined()), "Encode the goal"),
        (lambda: Goal(torch.zeros(2, 3))(imagined()), "Encode the goal"),
        (lambda: ReadingGoal(place, torch.zeros(3))(imagined()), "as many numbers"),
        (lambda: ReadingGoal(place, torch.zeros(5, 2))(imagined()), "a row for each of the . problems"),
        (lambda: ReadingGoal(place, torch.tensor([math.nan, math.nan])), "finite"),
        (lambda: Effort() * math.nan, "weight"),
        (lambda: (Effort() + keep_out(place, Box((0, 0), (1, 1))))(imagined()), "guardrail is not a cost"),
    ],
)
def test_a_wrong_cost_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_state_that_a_cost_is_to_come_to_is_found_in_sums_and_products():
    for shared in (torch.zeros(2), torch.zeros(1, 2)):
        assert ReadingGoal(place, shared).select(torch.tensor([2])).value is shared
    goal, reading = Goal(torch.randn(2, 4)), ReadingGoal(place, torch.zeros(2))
    assert goal_state(goal) is goal.state
    assert goal_state(0.5 * (2 * goal + Effort()) + reading) is goal.state
    assert goal_state(goal + goal) is None
    assert goal_state(-1 * goal + Effort()) is None
    assert goal_state(goal + -1 * Goal(torch.randn(2, 4))) is None
    assert goal_state(goal + 0 * Goal(torch.randn(2, 4))) is goal.state
    assert goal_state(reading) is None
