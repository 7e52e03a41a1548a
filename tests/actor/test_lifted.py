"""Lifted states."""

from dataclasses import replace

import pytest
import torch

from telos.actor import Lifted
from telos.actor.gradient import Descent, Lagrangian
from telos.actor.lifted import _Virtual
from telos.types import Budget, Level, PlanStatus, Trajectory
from tests.actor.point import WIDE, Setting, Zone, move, onward, problem


def to_the_right(iterations=20, **changes):
    return problem([[0.0, 0.0]], [[4.0, 0.0]], setting=Setting(budget=Budget(iterations)), **changes)


def lifted(case, given, starts):
    """A descent from these starts and its virtual states, after the first rollout."""
    lagrangian = Lagrangian(penalty=1.0, margin=0.02)
    descent = Descent(case, starts, lagrangian, alternatives=3, gap=0.1)
    descent.step(last=True)
    return descent, _Virtual(case, descent, lagrangian, given)


def watched(case):
    """The same problem, and a list of what is called with it: 'rollout', or whether resume got a gradient."""
    calls = []

    def rollout(state, actions):
        calls.append("rollout")
        return move(state, actions)

    def resume(state, imagined, actions):
        calls.append((imagined.requires_grad, actions.requires_grad, tuple(imagined.shape)))
        return onward(move)(state, imagined, actions)

    return replace(case, levels=(Level(rollout, WIDE, resume=resume),)), calls


def test_rollouts_and_lifted_iterations_take_turns_and_the_last_is_a_rollout():
    case, calls = watched(to_the_right(11))
    found = Lifted(starts=4, lift=3, sync=2)(case)
    kinds = "".join("r" if call == "rollout" else "l" for call in calls)
    assert kinds == "rrlllrrlllr"
    assert len(found.trace) == 11
    assert found.evaluations == 11 * 4 * 6


def test_the_gradient_goes_into_actions_only_and_all_steps_at_once():
    case, calls = watched(to_the_right(4))
    Lifted(starts=4, lift=2, sync=1)(case)
    assert [call for call in calls if call != "rollout"] == [(False, True, (1, 4 * 6, 1, 2))] * 2


def test_states_go_ahead_to_the_goal_and_actions_follow():
    descent, virtual = lifted(to_the_right(), Lifted(noise=0.0), torch.tensor([[[[0.0, 0.5]] * 6]]))
    virtual.step(1.0)
    assert (virtual._states[..., 0] > 0).all()  # all were at 0
    for _ in range(40):
        virtual.step(1.0)
    assert descent.actions[0, 0, 0, 0] > 0.3
    apart = move(torch.zeros(1, 2), descent.actions).states[:, :, :, 1:] - virtual._states
    assert apart[..., 0].abs().max() < 2  # they are nearly those of the actions: the way is 4 long


def test_where_nothing_moves_at_first_lengths_are_those_of_the_state():
    descent, virtual = lifted(to_the_right(), Lifted(noise=0.0), torch.zeros(1, 1, 6, 2))
    for _ in range(40):
        virtual.step(1.0)
    assert descent.actions[0, 0, 0, 0] > 0.5


def test_virtual_states_leave_a_forbidden_zone_and_take_the_plan_with_them():
    zone = Zone((2.0, 0.0), 1.0)
    case = to_the_right(guardrails=(zone,))
    through = torch.tensor([[[[1.0, 0.05], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]])
    before = zone(move(torch.zeros(1, 2), through))[..., 1:].relu().sum()
    descent, virtual = lifted(case, Lifted(noise=0.0), through)
    for _ in range(40):
        virtual.step(1.0)
    states = torch.cat([torch.zeros(1, 1, 1, 1, 2), virtual._states], 3)
    assert zone(Trajectory(states, through))[..., 1:].relu().sum() < 0.5 * before
    assert zone(move(torch.zeros(1, 2), descent.actions))[..., 1:].relu().sum() < 0.8 * before


def test_noise_spreads_states_as_far_as_it_says_in_lengths_of_a_block():
    case = to_the_right()
    given = Lifted(noise=0.5, state_rate=0.0)
    starts = torch.ones(1, 200, 6, 2)  # a block leads one unit in x and y
    descent, virtual = lifted(case, given, starts)
    way = move(torch.zeros(1, 2), starts).states[:, :, :, 1:]
    virtual.step(1.0)
    assert (virtual._states - way).std().item() == pytest.approx(0.5, abs=0.02)
    assert torch.isfinite(descent.actions).all()


def test_every_future_of_an_ensemble_has_states_of_its_own():
    def twice(state, actions):
        states = move(state, actions).states
        return Trajectory(torch.cat([states, 1.1 * states], 2), actions)

    def resume(state, imagined, actions):
        on = onward(move)(state, imagined, actions).states
        return Trajectory(torch.cat([on[:, :, :1], on[:, :, 1:] + 0.1 * actions[:, :, None]], 2), actions)

    case = to_the_right(20)
    found = Lifted(starts=4)(replace(case, levels=(Level(twice, WIDE, resume=resume),)))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.trajectory.states.shape[2] == 2
    assert found.evaluations == 20 * 4 * 6 * 2


def test_where_time_runs_out_the_last_thing_done_is_a_rollout(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    case, calls = watched(replace(to_the_right(50), budget=Budget(50, seconds=5.5)))
    level = case.level

    def rollout(state, actions):
        now[0] += 1.0
        return level.rollout(state, actions)

    def resume(*given):
        now[0] += 1.0
        return level.resume(*given)

    found = Lifted(starts=4, lift=9, sync=1)(replace(case, levels=(Level(rollout, WIDE, resume=resume),)))
    assert now[0] <= 5.5
    assert calls[-1] == "rollout"
    assert len(found.trace) == 5


def test_a_level_that_cannot_resume_is_an_error_that_says_what_to_do():
    case = to_the_right()
    with pytest.raises(ValueError, match=r"Lifted needs a level .* Level\(rollout, space, resume=\.\.\.\)"):
        Lifted()(replace(case, levels=(Level(move, WIDE),)))


@pytest.mark.parametrize("wrong", [{"starts": 0}, {"lift": 0}, {"sync": 0}])
def test_settings_out_of_range_are_errors(wrong):
    with pytest.raises(ValueError, match="must be at least 1"):
        Lifted(**wrong)
