import json
from dataclasses import replace

import pytest

from telos import recipes
from telos.actor import PLANNERS, Coloured, Evolution, Guided, Reflex, Relay, Segments, Variations
from telos.configurator import Configurator, Situation, alike, batches
from telos.errors import UnknownName
from telos.memory import Moment
from telos.types import Budget, Configuration, PlanStatus

EXPLORE, TRACK, SETTLE = (
    Configuration(lambda problem: None, horizon, Budget(), 4)  # type: ignore[arg-type,return-value]
    for horizon in (20, 10, 3)
)
DECIDE = Configurator(EXPLORE, TRACK, SETTLE, near=0.1, arrived=0.01, patience=8, progress=0.02)


def past(*energies, chosen=TRACK, planned=None, status=PlanStatus.SOLVED):
    """One plan every four steps, the first of them an exploration."""
    return tuple(
        Moment(4 * n, energy, energy if planned is None else planned[n], status, chosen if n else EXPLORE)
        for n, energy in enumerate(energies)
    )


def situation(*energies, **changes):
    """After plans at these energies; the last one is that of the present."""
    history = past(*energies[:-1])
    return replace(Situation(4 * len(history), energies[-1], bool(history), 0, 0.0, history), **changes)


def decided(*energies, **changes):
    configuration = DECIDE(situation(*energies, **changes))
    assert configuration.reason
    return replace(configuration, reason="")


def test_the_first_plan_explores():
    assert decided(1.0) == EXPLORE


def test_with_progress_it_tracks():
    assert decided(1.0, 0.9, 0.8, 0.7) == TRACK


def test_near_the_goal_it_settles():
    assert decided(1.0, 0.5, 0.2, 0.09) == SETTLE


def test_nearness_is_relative_to_the_farthest_so_far():
    detour = past(0.05, 1.0, planned=(0.5, 0.3))
    assert decided(0.09, step=8, warm=True, history=detour) == SETTLE
    assert decided(0.05, 0.05) == TRACK


def test_without_progress_for_long_it_explores():
    assert decided(1.0, 0.9, 0.9) == TRACK
    assert decided(1.0, 0.9, 0.9, 0.9) == EXPLORE


def test_after_exploring_it_waits_before_it_explores_again():
    stuck = past(*[0.9] * 10)
    explored = (*stuck, Moment(40, 0.9, 0.9, PlanStatus.SOLVED, replace(EXPLORE, reason="stuck")))
    assert decided(0.9, step=44, warm=True, history=explored) == TRACK
    assert decided(0.9, step=48, warm=True, history=explored) == EXPLORE


def test_plans_that_get_cheaper_are_progress_too():
    detour = past(1.0, 1.1, 1.2, 1.3, planned=(1.0, 0.8, 0.6, 0.4))
    assert decided(1.3, step=16, warm=True, history=detour) == TRACK


def test_stuck_near_the_goal_it_explores_but_not_at_the_goal():
    assert decided(1.0, 0.05, 0.05, 0.05, 0.05) == EXPLORE
    assert decided(1.0, 0.005, 0.005, 0.005, 0.005) == SETTLE


@pytest.mark.parametrize("status", [PlanStatus.INFEASIBLE, PlanStatus.NOT_FINITE])
def test_after_a_plan_that_could_not_be_executed_it_explores(status):
    assert decided(0.8, step=4, history=past(1.0, status=status)) == EXPLORE


def test_beyond_a_guardrail_it_explores():
    assert decided(1.0, 0.9, 0.8, excess=0.1, guardrails=1) == EXPLORE


def test_an_energy_that_is_not_a_number_is_not_near():
    assert decided(1.0, float("nan")) == TRACK


def test_configurations_are_alike_whatever_the_reason():
    assert alike(replace(TRACK, reason="a"), replace(TRACK, reason="b"))
    assert not alike(TRACK, replace(TRACK, replan_every=2))


def test_a_batch_is_configured_alike_and_has_warm_starts_or_none():
    warm, cold = situation(1.0, 0.9), situation(1.0)
    chosen = [TRACK, EXPLORE, replace(TRACK, reason="why not"), TRACK]
    assert batches(chosen, [warm, cold, warm, cold]) == [[0, 2], [1], [3]]


@pytest.mark.parametrize("wrong", [{"near": 0.001}, {"patience": 0}, {"progress": 1.0}, {"arrived": -0.1}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match="must"):
        replace(DECIDE, **wrong)


def planned_by(planner):
    return Configurator(explore=Configuration(planner, 5, Budget(3, seconds=0.5), 2, tube=0.1))


@pytest.mark.parametrize(
    "configurator",
    [
        *(pytest.param(planned_by(build()), id=name) for name, build in PLANNERS.items()),
        *(pytest.param(recipes.get(name).configurator, id=f"recipe {name}") for name in recipes.RECIPES),
        planned_by(Reflex(candidates=4)),
        planned_by(Guided(PLANNERS["gradient"](), share=0.2)),  # type: ignore[arg-type]
        planned_by(replace(PLANNERS["cem"](), correlation=Coloured(2.0))),  # type: ignore[type-var]
        planned_by(Relay(((1, Evolution(vary=Variations(fresh=Segments()))), (2, Relay(((1, Reflex()),)))))),
    ],
)
def test_a_configurator_goes_through_json(configurator):
    assert Configurator.from_json(json.loads(json.dumps(configurator.to_json()))) == configurator


def test_a_planner_of_ones_own_is_not_told_in_json():
    assert DECIDE.to_json() is None
    assert planned_by(Relay(((1, print),))).to_json() is None  # type: ignore[arg-type]


def test_json_with_a_planner_that_telos_does_not_have_names_the_near_ones():
    told = planned_by(Evolution()).to_json()
    assert told is not None
    told["explore"]["planner"]["kind"] = "Evolutoin"
    with pytest.raises(UnknownName, match=r"explore.planner called 'Evolutoin'. Did you mean Evolution"):
        Configurator.from_json(told)
