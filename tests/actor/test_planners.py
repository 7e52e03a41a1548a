"""What every registered planner must do."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.actor import Guided, Reflex, planners
from telos.types import ActionSpace, Budget, Level, PlanStatus
from tests.actor.point import WIDE, Formula, Quadratic, Setting, Zone, move, problem, push

BY_NAME = {**planners(WIDE), "reflex": lambda: Reflex(candidates=64), "guided": Guided}
every_planner = pytest.mark.parametrize("name", BY_NAME)
# A tree asks the cost about one block at a time: it comes to a place, but knows no optimum over time.
every_optimiser = pytest.mark.parametrize("name", [name for name in BY_NAME if name != "tree"])
STAGES = {"relay": 2, "hybrid": 2}  # plans one after another, each with a first iteration and its own trace
ITERATIONS = {"gradient": 60, "lbfgs": 20, "lifted": 60, "random_shooting": 5, "tree": 60}
IN_THE_WAY = Zone((2.0, 0.0), 1.0)


def plan(name, **arguments):
    budget = Budget(ITERATIONS.get(name, 12))
    arguments.setdefault("setting", Setting(budget=budget))
    arguments = {"state": [[0.0, 0.0]], "target": [[4.0, 0.0]], **arguments}
    return BY_NAME[name]()(problem(**arguments))


def optimum(rollout, state, target, horizon, effort):
    """The least-squares solution of a linear rollout with quadratic cost: its energy."""
    size = horizon * 2

    def residual(flat):
        trajectory = rollout(state, flat.reshape(1, 1, horizon, 2))
        away = trajectory.states[0, 0, 0, 1:, :2] - target
        return torch.cat([away.flatten(), effort**0.5 * flat])

    offset = residual(torch.zeros(size, dtype=state.dtype))
    matrix = torch.stack([residual(row) - offset for row in torch.eye(size, dtype=state.dtype)], 1)
    best = torch.linalg.lstsq(matrix, -offset[:, None]).solution[:, 0]
    assert best.abs().max() < 2  # else the bounds would matter
    return residual(best).square().sum().item(), offset.square().sum().item()


@every_optimiser
@pytest.mark.parametrize("rollout", [move, push])
def test_a_linear_quadratic_problem_is_solved(name, rollout):
    state = torch.tensor([[0.0, 0.0] if rollout is move else [0.0, 0.0, 0.5, 0.0]], dtype=torch.float64)
    target = torch.tensor([[1.5, -1.0]], dtype=torch.float64)
    best, resting = optimum(rollout, state, target[0], 4, 0.5)
    # A quarter of the relay's iterations is evolution's.
    budget = Budget({"gradient": 200, "lifted": 200, "relay": 120}.get(name, 30))
    found = plan(
        name,
        state=state,
        target=target.tolist(),
        horizon=4,
        effort=0.5,
        setting=Setting(rollout=rollout, budget=budget),
    )
    # The share of the way from resting to the optimum that may be left.
    rough = dict.fromkeys(("random_shooting", "predictive_sampling", "reflex"), 0.25)
    rough |= dict.fromkeys(("evolution", "relay", "guided"), 0.05)
    rough.update(lbfgs=1e-6, hybrid=1e-6)
    assert best - 1e-9 <= found.energy.item() <= best + rough.get(name, 0.01) * (resting - best)


@every_planner
def test_the_plan_is_what_was_scored(name):
    found = plan(name, state=[[0.0, 0.0], [1.0, 3.0]], target=[[4.0, 0.0], [1.0, 1.0]])
    again = move(torch.tensor([[0.0, 0.0], [1.0, 3.0]]), found.actions[:, None])
    assert torch.equal(found.trajectory.actions[:, 0], found.actions)
    torch.testing.assert_close(again.states, found.trajectory.states)
    cost = Quadratic(torch.tensor([[4.0, 0.0], [1.0, 1.0]]))
    torch.testing.assert_close(cost(again)[:, 0, 0], found.energy)


@every_planner
@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(1, 3),
    horizon=st.integers(1, 5),
    block=st.integers(1, 3),
    held=st.booleans(),
    bounds=st.tuples(st.floats(-3, 0), st.floats(0, 3)),
    max_norm=st.none() | st.floats(0.1, 3),
    seed=st.integers(0, 2**32),
)
def test_bounds_are_respected(name, batch, horizon, block, held, bounds, max_norm, seed):
    space = ActionSpace((bounds[0], 0.0), (bounds[1], 0.0), max_norm, block, held)

    def rollout(state, actions):
        return move(state, space.flatten(actions).unflatten(-1, (block, 2)).sum(-2))

    def checked(state, actions):
        torch.testing.assert_close(space.project(actions), actions)
        return replace(rollout(state, actions), actions=actions)

    found = plan(
        name,
        state=torch.zeros(batch, 2),
        target=[[9.0, 9.0]] * batch,
        horizon=horizon,
        setting=Setting(space, checked, seed, Budget(2)),
    )
    torch.testing.assert_close(space.project(found.actions), found.actions)
    assert (found.actions.unflatten(-1, (-1, 2))[..., 1] == 0).all()  # a bound of zero width


@every_planner
def test_the_same_seed_gives_the_same_plan_bit_for_bit(name):
    one, same = plan(name, guardrails=(IN_THE_WAY,)), plan(name, guardrails=(IN_THE_WAY,))
    assert torch.equal(one.actions, same.actions)
    other = plan(name, setting=Setting(seed=1))
    assert not torch.equal(plan(name, setting=Setting(seed=0)).actions, other.actions)


@every_planner
def test_problems_do_not_leak_into_each_other(name):
    one = plan(name, state=[[0.0, 0.0], [1.0, 1.0]], target=[[4.0, 0.0], [0.0, 0.0]])
    other = plan(name, state=[[0.0, 0.0], [9.0, 9.0]], target=[[4.0, 0.0], [-5.0, 7.0]])
    assert torch.equal(one.actions[0], other.actions[0])
    assert not torch.equal(one.actions[1], other.actions[1])


@every_planner
def test_a_guardrail_in_the_way_is_held(name):
    straight = torch.tensor([[[2.0, 0.0]] * 2 + [[0.0, 0.0]] * 4])  # the optimum without the guardrail
    around = plan(name, guardrails=(IN_THE_WAY,), warm_start=straight)
    assert around.status == (PlanStatus.SOLVED,)
    assert around.violation.item() <= 0
    torch.testing.assert_close(IN_THE_WAY(around.trajectory)[..., 1:].amax((1, 2, 3)), around.violation)


@every_planner
def test_contradictory_guardrails_are_infeasible_and_the_least_violation_comes_back(name):
    right, left = Formula(lambda t: 1 - t.states[..., 0]), Formula(lambda t: 1 + t.states[..., 0])
    found = plan(name, guardrails=(right, left))
    assert found.status == (PlanStatus.INFEASIBLE,)
    assert found.violation.item() > 0
    assert torch.isfinite(found.energy).all()


@every_planner
def test_from_inside_a_zone_it_leaves(name):
    found = plan(name, state=[[1.5, 0.0]], guardrails=(IN_THE_WAY,))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.violation.item() <= 0


@every_planner
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_candidates_that_are_not_finite_lose(name, bad):
    def cost(trajectory):
        energy = Quadratic(torch.tensor([[4.0, 0.0]]))(trajectory)
        return torch.where(trajectory.actions[:, :, 0, :1] > 0.5, bad, energy)

    found = plan(name, cost=Formula(cost))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.actions[0, 0, 0] <= 0.5
    # Standing still costs 96. A tree is to spread, and does not go on from children that are so near.
    assert found.energy < {"tree": 90}.get(name, 60)


@every_planner
def test_where_nothing_is_finite_the_status_says_so_and_the_other_problems_go_on(name):
    def cost(trajectory):
        broken = torch.tensor([torch.nan, 0.0])[:, None, None]
        return Quadratic(torch.tensor([[4.0, 0.0]]))(trajectory) + broken

    found = plan(name, state=[[0.0, 0.0], [0.0, 0.0]], cost=Formula(cost))
    assert found.status == (PlanStatus.NOT_FINITE, PlanStatus.SOLVED)
    assert torch.isfinite(found.actions).all()
    assert found.energy[1] < 60


@every_planner
def test_past_the_deadline_the_warm_start_comes_back_scored(name):
    warm = torch.full((1, 6, 2), 0.25)
    found = plan(name, warm_start=warm, setting=Setting(budget=Budget(9, seconds=0.0)))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert len(found.trace) == STAGES.get(name, 1)
    assert found.energy <= Quadratic(torch.tensor([[4.0, 0.0]]))(move(torch.zeros(1, 2), warm[:, None]))


@every_planner
def test_a_deadline_ends_the_search_after_the_first_iteration(name):
    found = plan(name, setting=Setting(budget=Budget(10**9, seconds=0.02)))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert len(found.trace) >= 1


@every_planner
def test_the_warm_start_is_scored(name):
    warm = torch.tensor([[[2.0, 0.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]])
    found = plan(name, warm_start=warm, setting=Setting(budget=Budget(1)))
    assert found.energy.item() <= 4.0  # the warm start is optimal


@every_planner
def test_a_deadline_on_the_way_is_kept_and_the_best_so_far_comes_back(name, monkeypatch):
    now = [5.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    def slow(state, actions):
        now[0] += 1.0
        return move(state, actions)

    seconds = 29.5 if name in ("reflex", "guided") else 9.5  # an imagined policy takes a rollout per block
    found = plan(name, setting=Setting(rollout=slow, budget=Budget(50, seconds=seconds)))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert 3 <= len(found.trace) < 50
    assert now[0] <= 5 + seconds + (name in ("tree", "relay"))  # a tree scores its ways at the end
    again = Quadratic(torch.tensor([[4.0, 0.0]]))(move(torch.zeros(1, 2), found.actions[:, None]))
    torch.testing.assert_close(again[:, 0, 0], found.energy)
    assert found.energy < 90  # standing still costs 96


@every_planner
def test_where_nothing_can_be_chosen_the_plan_is_that(name):
    fixed = ActionSpace((0.5, -0.25), (0.5, -0.25), max_norm=1.0)
    found = plan(name, horizon=1, setting=Setting(fixed, budget=Budget(3)))
    assert found.actions.tolist() == [[[0.5, -0.25]]]
    assert found.energy.item() == 3.5**2 + 0.25**2


@every_planner
def test_alternatives_are_begun_with_as_the_warm_start_is(name):
    optimum = torch.tensor([[[2.0, 0.0]] * 2 + [[0.0, 0.0]] * 4])
    away = -optimum
    budget = Setting(budget=Budget(STAGES.get(name, 1)))
    found = plan(name, warm_start=away, alternatives=torch.stack([away / 2, optimum], 1), setting=budget)
    torch.testing.assert_close(found.energy, torch.tensor([4.0]))


@every_planner
def test_alternatives_of_the_wrong_shape_are_named(name):
    with pytest.raises(ValueError, match=r"alternatives must have shape \[B, N, T, size\] .*got \[1, 6, 2\]"):
        plan(name, alternatives=torch.zeros(1, 6, 2))


@every_planner
def test_the_trace_never_rises_and_evaluations_count_every_row(name):
    rows = []

    def counted(state, actions):
        rows.append(actions.shape[:3].numel())
        return move(state, actions)

    found = plan(name, setting=Setting(rollout=counted, budget=Budget(4)))
    assert found.trace.shape == (4, 1)
    stages = {"relay": (3, 1), "hybrid": (2, 2)}.get(name, (4,))
    assert all((stage.diff(dim=0) <= 0).all() for stage in found.trace.split(stages))
    assert found.evaluations == sum(rows)


@every_planner
def test_a_cost_of_the_wrong_shape_is_named(name):
    with pytest.raises(ValueError, match=r"cost Formula must return shape \[B, S, K\] = \[1, \d+, 1\].*got"):
        plan(name, cost=Formula(lambda t: t.states.sum((2, 3, 4))))


@every_planner
def test_a_guardrail_of_the_wrong_shape_is_named(name):
    with pytest.raises(ValueError, match=r"guardrail Formula must return shape \[B, S, K, T\+1\]"):
        plan(name, guardrails=(Formula(lambda t: t.states[..., 1:, 0]),))


@every_planner
def test_a_rollout_that_raises_says_who_called_it(name):
    def broken(state, actions):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory") as caught:
        plan(name, setting=Setting(rollout=broken))
    assert "calling the rollout" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["tree", "lifted"])
def test_a_resume_that_raises_says_who_called_it(name):
    def broken(state, imagined, actions):
        raise RuntimeError("out of memory")

    level = Level(move, WIDE, resume=broken)
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        plan(name, levels=(level,))
    assert "calling resume" in caught.value.__notes__[0]


@pytest.mark.parametrize("name", ["gradient", "lbfgs", "lifted"])
def test_an_energy_without_a_gradient_is_an_error_that_says_what_to_do(name):
    rounded = Formula(lambda trajectory: trajectory.states.detach().round().sum((3, 4)))
    with pytest.raises(ValueError, match=r"needs an energy that is differentiable .* telos.actor.CEM"):
        plan(name, cost=rounded)


@every_planner
def test_a_guardrail_that_is_not_a_number_somewhere_is_held_elsewhere(name):
    def blind(trajectory):
        hidden = trajectory.states[..., 1] > 1.5
        return torch.where(hidden, torch.nan, IN_THE_WAY(trajectory))

    found = plan(name, guardrails=(Formula(blind),))
    assert found.status == (PlanStatus.SOLVED,)
    assert (found.trajectory.states[..., 1] <= 1.5).all()
    assert found.energy < 90


@every_planner
def test_planning_works_in_no_grad_and_leaves_nothing_to_differentiate(name):
    with torch.no_grad():
        found = plan(name)
    assert not found.energy.requires_grad
    assert not found.trajectory.states.requires_grad
    assert found.energy < 60


@every_planner
def test_alternatives_are_scored_plans_that_are_no_better(name):
    found = plan(name, guardrails=(IN_THE_WAY,))
    assert len(found.alternatives) == 3
    for other in found.alternatives:
        assert other.energy >= found.energy or other.status != found.status
        assert not torch.allclose(other.actions, found.actions)


@every_planner
def test_planners_are_values(name):
    assert BY_NAME[name]() == BY_NAME[name]()
    assert hash(BY_NAME[name]()) == hash(BY_NAME[name]())


@every_planner
@pytest.mark.parametrize("precise", [torch.float64, torch.float32])
def test_cost_and_guardrails_may_be_of_another_precision(name, precise):
    cost = Formula(lambda t: Quadratic(torch.tensor([[4.0, 0.0]]))(t).to(precise))
    found = plan(name, cost=cost, guardrails=(Formula(lambda t: IN_THE_WAY(t).double()),))
    assert (found.status, found.actions.dtype) == ((PlanStatus.SOLVED,), torch.float32)


@every_planner
@pytest.mark.parametrize("value", [1.0, torch.ones(1, 1, 1, dtype=torch.int64)])
def test_a_cost_that_is_no_floating_point_tensor_is_named(name, value):
    with pytest.raises(
        ValueError, match=r"cost Formula must return a floating point tensor; got (float|torch.int64)"
    ):
        plan(name, cost=Formula(lambda t: value))


@every_planner
def test_a_warm_start_that_is_not_a_number_spoils_nothing(name):
    warm = torch.zeros(2, 6, 2)
    warm[0] = torch.nan
    found = plan(name, state=[[0.0, 0.0]] * 2, target=[[4.0, 0.0]] * 2, warm_start=warm)
    assert found.status == (PlanStatus.SOLVED,) * 2
    assert (found.energy < 90).all()


@every_planner
def test_bounds_beside_zero_are_respected_with_a_norm_bound(name):
    space = ActionSpace((0.5, -2.0), (2.0, -0.5), max_norm=1.2)
    found = plan(name, setting=Setting(space, budget=Budget(3)))
    low, high = space.bounds(found.actions)
    assert ((found.actions >= low - 1e-6) & (found.actions <= high + 1e-6)).all()
    assert (found.actions.norm(dim=-1) <= 1.2 + 1e-5).all()
    assert found.actions[..., 0].amax() > 0.6
