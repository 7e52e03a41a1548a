"""A goal that is a value of a reading: what is left free does not count, and there is no picture of it."""

import numpy as np
import pytest

from telos.cli.targets import Targeted
from telos.errors import NoTask
from telos.evaluation import NoOp, Record, run_episodes
from telos.evaluation.diagnosis import Ending, diagnose
from telos.worlds import Rooms


class Drift(NoOp):
    """Goes right, all the time."""

    def begin(self, world, guardrails):
        self._actions = np.tile(np.float32([2.0, 0.0]), (world.num, 1))


def targeted(goal, *, steps=12):
    world = Rooms(num=2)
    world.episode_steps = steps
    return Targeted(world, {"agent_xy": goal}, within=5.0)


def test_distances_are_those_of_the_values_that_were_given():
    run = run_episodes(Drift(), targeted([np.nan, 30.0]), [1, 2], record=Record(2, 2))
    for row, record in zip(run.rows, run.recordings, strict=True):
        path = record.readings["agent_xy"]
        assert np.abs(path[-1, 0] - path[0, 0]) > 1
        assert row.start_distance["agent_xy"] == pytest.approx(abs(path[0, 1] - 30), abs=1e-4)
        assert row.final_distance["agent_xy"] == pytest.approx(abs(path[-1, 1] - 30), abs=1e-4)
        assert row.success == (row.final_distance["agent_xy"] <= 5)


def test_the_worlds_own_goal_is_not_recorded():
    world = targeted([10.0, 30.0])
    world.reset([1, 2], split="heldout", task=True)
    assert world.goal_readings()["agent_xy"].tolist() == [[10.0, 30.0]] * 2
    with pytest.raises(NoTask, match="a value of agent_xy, which has no picture"):
        world.goal_frames()
    assert run_episodes(NoOp(), world, [1], record=Record(1, 1)).recordings[0].goal_frame is None


def test_a_failure_is_told_by_the_values_that_were_given():
    path = np.stack([np.linspace(10, 50, 9), np.linspace(10, 20, 9)], axis=1)
    end = Ending({"agent_xy": path}, {"agent_xy": np.array([np.nan, 40.0])}, np.zeros((8, 2)), 0, None, 0.0)
    assert diagnose(end, Rooms()) == "stopped short, 20 px from the goal"
