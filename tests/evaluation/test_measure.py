import dataclasses

import numpy as np
import pytest
import torch

from telos.actor import CEM
from telos.cost import Disc
from telos.errors import UnknownName
from telos.evaluation import DEV_SEED, TEST_SEED, Record, Regions, evaluate
from telos.evaluation.oracle import Oracle
from telos.types import Budget, Configuration
from telos.worlds import Rooms


def plans(situation):
    return Configuration(CEM(candidates=48), horizon=8, budget=Budget(2), replan_every=8)


def short(num: int = 4) -> Rooms:
    world = Rooms(num=num)
    world.episode_steps = 48
    return world


@pytest.fixture(scope="module")
def evaluation():
    return evaluate(Oracle(), short(), tasks=6, configurator=plans, record=Record(1, 1), command="a b")


def test_the_numbers_follow_from_the_rows(evaluation):
    assert evaluation.n == 6
    assert [row.seed for row in evaluation.rows] == [*range(DEV_SEED, DEV_SEED + 6)]
    assert evaluation.success == sum(row.success for row in evaluation.rows) / 6
    assert evaluation.interval[0] < evaluation.success < evaluation.interval[1]
    assert evaluation.plans_per_episode == 6
    assert evaluation.evaluations_per_plan == 2 * 48 * 8
    assert evaluation.cpu_seconds_per_plan > 0


def test_floors_are_of_the_same_tasks(evaluation):
    assert [floor.name for floor in evaluation.floors] == ["no-op", "random", "exploration"]
    assert all(floor.n == 6 for floor in evaluation.floors)
    assert evaluation.noop == 0.0


def test_a_model_that_sees_does_better_than_one_that_does_not(evaluation):
    blind = evaluate(Oracle(sees=False), short(), tasks=6, configurator=plans, floors=False)
    assert blind.success < evaluation.success
    assert blind.random is None


def test_recorded_plans_are_read_and_decoded_one_after_the_other(evaluation):
    recording = evaluation.recordings[0]
    assert [plan.step for plan in recording.plans] == [0, 8, 16, 24, 32, 40]
    assert [plan.frames is not None for plan in recording.plans] == [True, False, False, False, True, False]
    assert recording.plans[0].frames.shape == (9, 64, 64, 3)
    assert recording.plans[0].readings["agent_xy"].shape == (9, 2)
    assert recording.plans[0].trace.shape == (2,)


def test_recorded_plans_are_decoded_in_the_scene_of_their_own_episode():
    found = evaluate(Oracle(), short(), tasks=4, configurator=plans, floors=False, record=Record(4, 4))
    assert len(found.recordings) == 4
    for recording in found.recordings:
        difference = recording.plans[0].frames[0].astype(int) - recording.frames[0]
        assert np.abs(difference).mean() < 2


def test_the_same_seed_gives_the_same_evaluation(evaluation):
    again = evaluate(Oracle(), short(), tasks=6, configurator=plans, floors=False)
    assert again.rows == evaluation.rows


def test_batches_are_even_and_no_larger_than_asked():
    found = evaluate(Oracle(), "telos/TwoRooms-v0", tasks=1, batch=64, configurator=plans, floors=False)
    assert found.config["batch"] == 1
    assert found.planning.batch == 1


def test_a_held_guardrail_is_compared_with_the_same_tasks_without_it():
    found = evaluate(
        Oracle(), short(), tasks=4, configurator=plans, guardrail="across", floors=False, record=Record(2, 2)
    )
    value = found.to_json()
    assert value["violations"] == 0.0
    assert value["violations_without"] >= 0.5
    assert value["deepest_violation"] <= 0 < value["deepest_violation_without"]
    assert [row.seed for row in found.rows] == [row.seed for row in found.rows_without]
    assert found.recordings[0].without["agent_xy"].shape == (49, 2)


def test_regions_of_the_users_own_are_held():
    everywhere = Regions(outside=(("agent_xy", Disc((32, 32), 100.0)),))
    found = evaluate(
        Oracle(), short(2), tasks=2, configurator=plans, guardrail=everywhere, floors=False, compare=False
    )
    assert found.infeasible == 1.0
    assert found.to_json()["violations"] == 1.0
    assert "success_without" not in found.to_json()


def test_development_and_test_seeds_are_apart():
    assert DEV_SEED + 100_000 <= TEST_SEED


def test_mistakes_are_told():
    with pytest.raises(UnknownName, match="Did you mean across"):
        evaluate(Oracle(), short(), guardrail="acros")
    with pytest.raises(ValueError, match="tasks and batch must be at least 1"):
        evaluate(Oracle(), short(), tasks=0)
    other = Oracle()
    other.config = dataclasses.replace(other.config, frame_shape=(32, 32, 3))
    with pytest.raises(ValueError, match="Evaluate it in the world it was trained in"):
        evaluate(other, short())


def test_evaluation_leaves_the_global_random_state_alone(evaluation):
    model, before = Oracle(), torch.get_rng_state()
    evaluate(model, short(1), tasks=1, configurator=plans)
    assert torch.equal(before, torch.get_rng_state())
