"""Planners one after another."""

from dataclasses import dataclass, field, replace

import pytest
import torch

from telos.actor import CEM, LBFGS, Gradient, RandomShooting, Relay, Tree
from telos.types import Budget, Planner, Problem
from tests.actor.point import Setting, problem


def straight(*, iterations=12, **changes):
    return problem([[0.0, 0.0]], [[4.0, 0.0]], setting=Setting(budget=Budget(iterations)), **changes)


@dataclass(frozen=True)
class Noted:
    """A planner that notes what it is asked."""

    planner: Planner = field(default_factory=lambda: RandomShooting(8))
    asked: list[Problem] = field(default_factory=list)

    def __call__(self, problem):
        self.asked.append(problem)
        return self.planner(problem)


def test_each_stage_of_a_relay_begins_with_the_plan_of_the_one_before():
    first, second = Noted(), Noted()
    warm = torch.full((1, 6, 2), 0.25)
    case = straight(warm_start=warm)
    found = Relay(((1, first), (1, second)))(case)
    assert torch.equal(first.asked[0].warm_start, warm)
    again = replace(first.asked[0], generator=torch.Generator().manual_seed(0))
    assert torch.equal(second.asked[0].warm_start, RandomShooting(8)(again).actions)
    assert (
        found.energy <= RandomShooting(8)(replace(again, generator=torch.Generator().manual_seed(0))).energy
    )


@pytest.mark.parametrize("shares", [(), (1, 0), (-1,), (float("nan"),), (float("inf"),)])
def test_a_relay_without_stages_or_with_shares_that_are_none_is_an_error(shares):
    with pytest.raises(ValueError, match="stages must be at least one"):
        Relay(tuple((share, Noted()) for share in shares))


def test_a_relay_adds_evaluations_and_joins_traces():
    found = Relay(((3, Tree(32)), (1, RandomShooting(8))))(straight(iterations=8))
    alone = Tree(32)(straight(iterations=6))
    assert found.evaluations == alone.evaluations + 2 * 8 * 6
    assert found.trace.shape == (8, 1)
    assert torch.equal(found.trace[:6], alone.trace)
    assert torch.equal(found.trace[-1], found.energy)


@pytest.mark.parametrize(
    ("shares", "iterations", "expected"),
    [((32, 6), 38, [32, 6]), ((1, 1), 3, [2, 1]), ((1, 1, 1), 4, [1, 2, 1]), ((9, 1), 1, [1, 1])],
)
def test_a_relay_shares_iterations_and_each_stage_has_one(shares, iterations, expected):
    stages = tuple((share, Noted()) for share in shares)
    Relay(stages)(straight(iterations=iterations))
    assert [stage.asked[0].budget for _, stage in stages] == [Budget(n) for n in expected]


@pytest.mark.parametrize(("took", "left"), [(2.0, 6.0), (6.0, 2.0), (9.0, -1.0)])
def test_a_relay_shares_seconds_and_what_a_stage_leaves_is_for_the_next(monkeypatch, took, left):
    now, first, second = [5.0], Noted(), Noted()
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def slow(problem):
        now[0] += took
        return first(problem)

    Relay(((3, slow), (1, second)))(replace(straight(), budget=Budget(8, seconds=8.0)))
    assert [stage.asked[0].budget for stage in (first, second)] == [Budget(6, 6.0), Budget(2, left)]


def test_what_was_sampled_is_refined_with_its_alternatives():
    asked = Noted(Gradient(starts=4, stepper=LBFGS()))
    found = Relay(((1, CEM(32, elites=4)), (1, asked)))(straight(iterations=8))
    sampled = CEM(32, elites=4)(straight(iterations=4))
    begin = torch.stack([plan.actions for plan in (sampled, *sampled.alternatives)], 1)
    assert torch.equal(asked.asked[0].warm_start, begin[:, 0])
    assert torch.equal(asked.asked[0].alternatives, begin[:, 1:])
    assert found.evaluations == 4 * 32 * 6 + 4 * 4 * 6
    assert found.energy < sampled.energy - 0.5
