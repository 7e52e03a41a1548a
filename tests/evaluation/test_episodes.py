import math

import numpy as np
import pytest
import torch

from telos.cost import Disc, keep_out
from telos.errors import WorldError
from telos.evaluation import Decision, NoOp, Record, run_episodes
from telos.evaluation.episodes import zone_of
from telos.types import Reading
from telos.worlds import Rooms


def short(num: int, steps: int = 80) -> Rooms:
    world = Rooms(num=num)
    world.episode_steps = steps
    return world


class Guide(NoOp):
    """Walks the true shortest way, and goes on from the goal after `leave` steps."""

    def __init__(self, leave: int = 10**6) -> None:
        self.leave, self.step = leave, 0

    def begin(self, world, guardrails):
        self.world, self.step = world, 0
        self.told = guardrails

    def act(self, frames):
        self.step += 1
        here, goals = self.world.read()["agent_xy"], self.world.goal_readings()["agent_xy"]
        ways = self.world.waypoints(here, goals, self.world.layouts())
        next_corner = np.stack(
            [next((p for p in way[1:] if np.linalg.norm(p - way[0]) > 0.05), way[-1]) for way in ways]
        )
        away = np.sign(here - 32) * 2  # to a corner of the house
        return next_corner - here if self.step <= self.leave else away

    def decisions(self, copy):
        return [Decision(0, evaluations=10), Decision(4, evaluations=20, infeasible=True, safe=True)]


def test_tasks_need_not_be_a_multiple_of_the_batch():
    seeds = [11, 12, 13, 14, 15]
    run = run_episodes(NoOp(), short(3, 2), seeds)
    assert [row.seed for row in run.rows] == seeds
    assert run.planning.episodes == 6


def test_success_is_judged_at_the_last_step():
    stayed = run_episodes(Guide(), short(4), [1, 2, 3, 4])
    left = run_episodes(Guide(leave=50), short(4), [1, 2, 3, 4])
    assert all(row.success and row.first_touch is not None for row in stayed.rows)
    assert any(row.first_touch is not None and not row.success for row in left.rows)
    assert all("and left it" in row.reason for row in left.rows if row.first_touch and not row.success)
    assert all(row.final_distance["agent_xy"] < 4.5 for row in stayed.rows)


def test_costs_are_summed_over_plans():
    run = run_episodes(Guide(), short(2, 2), [1, 2, 3])
    assert (run.planning.plans, run.planning.evaluations) == (8, 120)
    assert run.rows[0].infeasible == run.rows[0].safe == 1


def disc_on(path: np.ndarray, radius: float):
    """A guardrail against the middle of each path `[B, 2]`, that no model is asked about."""
    centers = torch.from_numpy(path).float()
    return (
        keep_out(lambda states: states, Disc(centers, torch.full((len(path),), radius)), name="agent_xy"),
    )


def test_true_violations_are_measured_on_the_true_readings():
    world = short(2)
    goals = {}

    def draw(world, seeds):
        goals["xy"] = world.goal_readings()["agent_xy"]
        return disc_on(goals["xy"], 2.0)

    run = run_episodes(Guide(), world, [1, 2], guardrails=draw, record=Record(successes=2))
    for row, recording in zip(run.rows, run.recordings, strict=True):
        away = np.linalg.norm(recording.readings["agent_xy"] - recording.goal_readings["agent_xy"], axis=1)
        assert row.violated_steps == (away[1:] < 2).sum() > 0
        assert row.violation == pytest.approx(2 - away[1:].min(), abs=1e-4)
        assert recording.zones[0].violation.max() == pytest.approx(2, abs=0.5)


def test_a_guardrail_that_is_not_held_is_measured_all_the_same():
    policy = Guide()
    run = run_episodes(
        policy, short(1, 2), [3], guardrails=lambda w, s: disc_on(w.read()["agent_xy"], 9), hold=False
    )
    assert policy.told == ()
    assert run.rows[0].violated_steps == 2


def test_recordings_are_of_the_first_of_each_kind_and_of_given_seeds():
    mixed = run_episodes(Guide(leave=25), short(3, 60), [*range(9)], record=Record(1, 1, frozenset({7})))
    kinds = [row.success for row in mixed.rows]
    assert {record.seed for record in mixed.recordings} == {kinds.index(True), kinds.index(False), 7}
    assert mixed.recordings[0].frames.shape == (61, 64, 64, 3)


@pytest.mark.parametrize("high", [None, (64.0, math.inf)])
def test_a_zone_of_a_reading_without_end_has_no_map(high):
    guardrail = disc_on(np.zeros((1, 2)), 3.0)[0]
    assert zone_of(guardrail, 0, {"agent_xy": Reading(2, "px", (0.0, 0.0), high)}) is None
    assert zone_of(guardrail, 0, {"agent_xy": Reading(2, "px", (0.0, 0.0), (64.0, 64.0))}) is not None


def test_nan_in_a_reading_is_an_error():
    class Broken(Rooms):
        def read(self):
            return {"agent_xy": np.full((self.num, 2), np.nan, np.float32)}

    with pytest.raises(WorldError, match="'agent_xy' is not finite"):
        run_episodes(NoOp(), Broken(num=1), [1])


def test_progress_counts_environment_steps():
    told = []
    run_episodes(NoOp(), short(2, 3), [1, 2, 3], progress=lambda *news: told.append(news[1:]))
    assert told == [(step, 6) for step in range(1, 7)]
