"""What every planner must do where actions are discrete."""

import itertools
import time
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.actor import MCTS, PLANNERS, Beam, CategoricalCEM, Relay, planners
from telos.types import ActionSpace, Budget, PlanStatus, Trajectory
from tests.actor.grid import FIVE, enumerated, walk
from tests.actor.point import WIDE, Formula, Quadratic, Setting, problem

every_planner = pytest.mark.parametrize("name", planners(FIVE))
# A reflex does what its policy does, which knows no guardrails: it need not find the way out.
every_search = pytest.mark.parametrize("name", [name for name in planners(FIVE) if name != "reflex"])
ALONE = [name for name in PLANNERS if name not in planners(WIDE)]  # for discrete actions alone
alone = pytest.mark.parametrize("name", ALONE)
STAGES = {"relay": 2}  # plans made one after another, each with a first iteration and a trace of its own
ITERATIONS = {"tree": 40, "relay": 40}
ROUND = torch.nn.functional.one_hot(torch.tensor([[2, 1, 1, 4, 0]]), 5).float()  # the best plan
OUTSIDE = Formula(lambda t: t.states[..., 1] - 0.5)  # stay below the way round


def asked(**arguments):
    """From (0, 0) to (2, 0) round a wall in five steps; 8.0 is the least summed squared distance."""
    arguments = {"state": [[0.0, 0.0]], "target": [[2.0, 0.0]], "horizon": 5, **arguments}
    arguments.setdefault("setting", Setting())
    arguments["setting"] = replace(arguments["setting"], space=FIVE, rollout=walk)
    return problem(**arguments)


def plan(name, **arguments):
    arguments.setdefault("setting", Setting(budget=Budget(ITERATIONS.get(name, 12))))
    return PLANNERS[name]()(asked(**arguments))


@alone
def test_the_best_of_3125_plans_is_found(name):
    places = {
        "state": [[0.0, 0.0], [2.0, 1.0], [0.0, -1.0]],
        "target": [[2.0, 0.0], [-1.0, -1.0], [2.0, -1.0]],
    }
    best = enumerated(asked(**places))
    assert best[0] == 8.0
    torch.testing.assert_close(plan(name, **places).energy, best)


@alone
def test_the_best_feasible_plan_is_found(name):
    best = enumerated(asked(guardrails=(OUTSIDE,)))
    found = plan(name, guardrails=(OUTSIDE,))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.violation.item() <= 0
    assert found.energy.item() == best.item() > 8.0


@every_planner
def test_a_sampling_planner_finds_a_good_one_too(name):
    least = {"predictive_sampling": 20.0}.get(name, 10.0)  # standing still costs 20
    assert 8.0 <= plan(name).energy.item() <= least


@alone
def test_alternatives_are_begun_with_as_the_warm_start_is(name):
    """With hardly a search, the best of what it begins with is what it ends with, or better."""
    rest, worse = ROUND.clone(), ROUND.clone()
    rest[:] = torch.nn.functional.one_hot(torch.tensor(0), 5).float()
    worse[:, 2:] = rest[:, 2:]
    others = torch.stack([worse, rest, ROUND], 1)
    few = {"mcts": MCTS(candidates=5), "categorical_cem": CategoricalCEM(candidates=6, elites=2)}
    planner = few.get(name, PLANNERS[name]())
    found = planner(asked(warm_start=rest, alternatives=others, setting=Setting(budget=Budget(2))))
    assert found.energy.item() == 8.0
    relayed = Relay(((1, Beam()), (1, planner)))(asked(setting=Setting(budget=Budget(4))))
    assert relayed.energy.item() == 8.0


@alone
@settings(max_examples=12, deadline=None)
@given(
    batch=st.integers(1, 3),
    horizon=st.integers(1, 4),
    block=st.integers(1, 2),
    held=st.booleans(),
    n=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_only_allowed_actions_are_imagined(name, batch, horizon, block, held, n, seed):
    space = ActionSpace.discrete(n, block=block, held=held)

    def checked(state, actions):
        assert torch.equal(space.project(actions), actions)
        number = space.flatten(actions).unflatten(-1, (block, n)).argmax(-1).sum(-1, keepdim=True)
        way = torch.cat([torch.zeros_like(number[:, :, :1]), number.cumsum(2)], 2)
        return Trajectory((state[:, None, None] + way)[:, :, None], actions)

    state, target = torch.zeros(batch, 2), [[2.0, 2.0]] * batch
    setting = Setting(space, checked, seed, Budget(2))
    found = PLANNERS[name]()(problem(state, target, horizon=horizon, setting=setting))
    assert torch.equal(space.project(found.actions), found.actions)
    assert found.actions.shape == (batch, horizon, space.size)


@every_planner
def test_the_plan_is_what_was_scored(name):
    found = plan(name, state=[[0.0, 0.0], [2.0, 1.0]], target=[[2.0, 0.0], [-1.0, 0.0]])
    again = walk(torch.tensor([[0.0, 0.0], [2.0, 1.0]]), found.actions[:, None])
    assert torch.equal(found.trajectory.actions[:, 0], found.actions)
    assert torch.equal(again.states, found.trajectory.states)
    cost = Quadratic(torch.tensor([[2.0, 0.0], [-1.0, 0.0]]))
    torch.testing.assert_close(cost(again)[:, 0, 0], found.energy)


@every_planner
def test_the_same_seed_gives_the_same_plan_bit_for_bit(name):
    assert torch.equal(plan(name).actions, plan(name).actions)


@every_planner
def test_problems_do_not_leak_into_each_other(name):
    one = plan(name, state=[[0.0, 0.0], [1.0, 1.0]], target=[[2.0, 0.0], [0.0, 0.0]])
    other = plan(name, state=[[0.0, 0.0], [9.0, 9.0]], target=[[2.0, 0.0], [5.0, 7.0]])
    assert torch.equal(one.actions[0], other.actions[0])
    assert not torch.equal(one.actions[1], other.actions[1])


@every_planner
def test_contradictory_guardrails_are_infeasible_and_the_least_violation_comes_back(name):
    right, left = Formula(lambda t: 1 - t.states[..., 0]), Formula(lambda t: 1 + t.states[..., 0])
    found = plan(name, guardrails=(right, left))
    assert found.status == (PlanStatus.INFEASIBLE,)
    assert found.violation.item() > 0
    assert torch.isfinite(found.energy).all()


@every_search
def test_from_inside_a_zone_it_leaves_at_once(name):
    left = Formula(lambda t: 0.5 - t.states[..., 0].abs())
    found = plan(name, guardrails=(left,), target=[[0.0, 0.0]])
    assert found.status == (PlanStatus.SOLVED,)
    assert found.trajectory.states[0, 0, 0, 1:, 0].abs().min() >= 0.5


@every_planner
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_candidates_that_are_not_finite_lose(name, bad):
    def cost(trajectory):
        energy = Quadratic(torch.tensor([[2.0, 0.0]]))(trajectory)
        return torch.where(trajectory.actions[:, :, 0, 2:3] > 0.5, bad, energy)  # up in the first step

    found = plan(name, cost=Formula(cost))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.actions[0, 0, 2] == 0
    assert found.energy <= 20


@every_planner
def test_where_nothing_is_finite_the_status_says_so_and_the_other_problems_go_on(name):
    def cost(trajectory):
        broken = torch.tensor([torch.nan, 0.0])[:, None, None]
        return Quadratic(torch.tensor([[2.0, 0.0]]))(trajectory) + broken

    found = plan(name, state=[[0.0, 0.0], [0.0, 0.0]], cost=Formula(cost))
    assert found.status == (PlanStatus.NOT_FINITE, PlanStatus.SOLVED)
    assert torch.equal(FIVE.project(found.actions), found.actions)
    assert found.energy[1] <= 20


@every_planner
def test_states_that_are_not_finite_are_no_obstacle(name):
    def broken(state, actions):
        imagined = walk(state, actions)
        places = imagined.states.masked_fill(imagined.states[..., 1:] < 0, torch.nan)  # below
        return replace(imagined, states=places)

    setting = Setting(FIVE, broken, budget=Budget(ITERATIONS.get(name, 12)))
    found = PLANNERS[name]()(problem([[0.0, 0.0]], [[2.0, 0.0]], horizon=5, setting=setting))
    assert found.status == (PlanStatus.SOLVED,)
    assert found.energy <= 20


@every_planner
def test_past_the_deadline_the_warm_start_comes_back_scored(name):
    found = plan(name, warm_start=ROUND, setting=Setting(budget=Budget(9, seconds=0.0)))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert len(found.trace) == STAGES.get(name, 1)
    assert found.energy.item() == 8.0


@every_planner
def test_a_deadline_ends_the_search(name):
    found = plan(name, setting=Setting(budget=Budget(10**9, seconds=0.02)))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert len(found.trace) >= 1


@every_planner
def test_the_warm_start_is_scored(name):
    for seed in range(4):
        found = plan(name, warm_start=ROUND, setting=Setting(seed=seed, budget=Budget(1)))
        assert found.energy.item() == 8.0


@every_planner
def test_the_trace_never_rises_and_evaluations_count_every_row(name):
    rows = []

    def counted(state, actions):
        rows.append(actions.shape[:3].numel())
        return walk(state, actions)

    setting = Setting(FIVE, counted, budget=Budget(4))
    found = PLANNERS[name]()(problem([[0.0, 0.0]], [[2.0, 0.0]], horizon=5, setting=setting))
    assert found.trace.shape == (4, 1)
    stages = {"relay": (3, 1)}.get(name, (4,))
    assert all((stage.diff(dim=0) <= 0).all() for stage in found.trace.split(stages))
    assert found.evaluations == sum(rows)


@every_planner
@pytest.mark.parametrize(
    ("part", "wrong", "message"),
    [
        ("cost", lambda t: t.states.sum((2, 3, 4)), r"cost Formula must return shape \[B, S, K\]"),
        (
            "guardrails",
            lambda t: t.states[..., 1:, 0],
            r"guardrail Formula must return shape \[B, S, K, T\+1\]",
        ),
    ],
)
def test_a_wrong_shape_is_named(name, part, wrong, message):
    with pytest.raises(ValueError, match=message):
        plan(name, **{part: Formula(wrong) if part == "cost" else (Formula(wrong),)})


@every_planner
def test_a_rollout_that_raises_says_who_called_it(name):
    def broken(state, actions):
        raise RuntimeError("out of memory")

    setting = Setting(FIVE, broken)
    with pytest.raises(RuntimeError, match="out of memory") as caught:
        PLANNERS[name]()(problem([[0.0, 0.0]], [[2.0, 0.0]], horizon=5, setting=setting))
    assert "calling the rollout" in caught.value.__notes__[0]


@every_planner
def test_alternatives_are_scored_plans_that_are_no_better(name):
    found = plan(name)
    assert found.alternatives
    for other in found.alternatives:
        assert other.energy >= found.energy
        assert torch.equal(FIVE.project(other.actions), other.actions)


@alone
def test_one_action_is_planned_with(name):
    def still(state, actions):
        states = state[:, None, None, None].expand(-1, *actions.shape[1:2], 1, actions.shape[2] + 1, -1)
        return Trajectory(states, actions)

    setting = Setting(ActionSpace.discrete(1), still, budget=Budget(3))
    found = PLANNERS[name]()(problem([[1.0, 0.0]], [[0.0, 0.0]], horizon=3, setting=setting))
    assert found.energy.item() == 3.0
    assert (found.actions == 1).all()


@pytest.mark.parametrize(("name", "space"), [*((name, WIDE) for name in ALONE), ("gradient", FIVE)])
def test_a_space_that_a_planner_cannot_plan_in_is_refused(name, space):
    with pytest.raises(ValueError, match=r"(needs discrete|between bounds).*got.*planners\(space\)"):
        PLANNERS[name]()(problem([[0.0, 0.0]], [[1.0, 1.0]], setting=Setting(space)))


@every_planner
def test_planners_are_values(name):
    assert PLANNERS[name]() == PLANNERS[name]()
    assert hash(PLANNERS[name]()) == hash(PLANNERS[name]())


def test_futures_are_aggregated():
    def two(state, actions):
        imagined = walk(state, actions).states
        return Trajectory(torch.cat([imagined, imagined * 0], 2), actions)  # in one of them nothing moves

    def resume(state, imagined, actions):
        moving = walk(imagined[:, :, 0].flatten(0, 1), actions.flatten(0, 1)[:, None]).states[:, 0, 0]
        moving = moving.unflatten(0, imagined.shape[:2])
        return Trajectory(torch.stack([moving, moving * 0], 2), actions)

    asked = problem([[0.0, 0.0]], [[2.0, 0.0]], horizon=5, setting=Setting(FIVE, two))
    level = replace(asked.level, resume=resume)
    best = Beam()(replace(asked, levels=(level,)))
    assert best.energy.item() == (8.0 + 20.0) / 2
    assert best.evaluations % 2 == 0


def test_a_beam_that_keeps_one_state_presses_against_the_wall_and_widens_with_each_sweep():
    narrow = Beam(width=1)(asked(setting=Setting(budget=Budget(1))))
    assert narrow.trajectory.states[0, 0, 0, -1].tolist() == [0.0, 0.0]
    assert Beam(width=1)(asked(setting=Setting(budget=Budget(4)))).energy < narrow.energy


def test_a_beam_that_runs_out_of_time_on_its_way_rests_after_it(monkeypatch):
    ticks = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(ticks)))  # a second passes between two looks
    found = Beam()(asked(target=[[-5.0, 0.0]], setting=Setting(budget=Budget(9, seconds=4.5))))
    assert found.status == (PlanStatus.OUT_OF_TIME,)
    assert found.actions.argmax(-1).tolist() == [[3, 3, 3, 0, 0]]
    assert found.trajectory.states[0, 0, 0, -1].tolist() == [-3.0, 0.0]


def test_a_beam_needs_a_level_that_resumes():
    level = replace(asked().level, resume=None)
    with pytest.raises(ValueError, match="Beam needs a level that imagines on"):
        Beam()(replace(asked(), levels=(level,)))


def test_too_many_choices_per_block_are_refused():
    space = ActionSpace.discrete(9, block=4, held=False)
    with pytest.raises(ValueError, match="at most 4096 choices; got 9 actions at each of 4 free steps"):
        Beam()(problem([[0.0, 0.0]], [[2.0, 0.0]], setting=Setting(space)))


def test_categorical_cem_concentrates_on_what_elites_do():
    found = CategoricalCEM(candidates=64, elites=8)(asked(setting=Setting(budget=Budget(8))))
    assert found.energy.item() == 8.0
    assert found.trace[0].item() > 8.0
