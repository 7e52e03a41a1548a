import numpy as np
import pytest
import torch

from telos.evaluation import Hazards, true_violations
from telos.evaluation.hazards import KINDS, kind_of
from telos.evaluation.oracle import Oracle
from telos.evaluation.zones import FreeFloor
from telos.worlds import Rooms
from telos.worlds.rooms import REACHED


@pytest.fixture(scope="module")
def placed():
    world = Rooms(num=12)
    seeds = Hazards().seeds(world, 1_000_000, 12)
    world.reset(seeds, split="heldout", task=True)
    return world, seeds, Hazards(buffer=0.5).guardrails(Oracle(), world, seeds)[0]


def test_every_kind_is_there_and_lies_on_the_straight_way_clear_of_its_ends(placed):
    world, seeds, guardrail = placed
    starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
    assert {kind_of(seed) for seed in seeds} == set(KINDS)
    for copy, way in enumerate(world.waypoints(starts, goals, world.layouts())):
        share = np.linspace(0, 1, 2001)[:, None, None]
        line = (way[:-1] + share * np.diff(way, axis=0)).reshape(-1, 2)
        alone = guardrail.select(torch.tensor([copy]))
        assert alone.violation_of(line[None]).max() > 0.9
        assert alone.violation_of(starts[copy][None, None]).max() < -3
        assert alone.violation_of(goals[copy][None, None]).max() < -REACHED


def test_a_way_round_keeps_the_clearance(placed):
    world, _, guardrail = placed
    floor = FreeFloor(world)
    starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
    for copy in range(world.num):
        region = guardrail.region.select(torch.tensor([copy]))

        class Alone:
            def signed_distance(self, points, region=region):
                return region.signed_distance(points[None])[0]

        assert floor.connects(copy, starts[copy], goals[copy], Alone(), 3.0)


def test_what_is_forbidden_depends_on_the_seed_of_its_task_alone(placed):
    _, seeds, guardrail = placed
    alone = Rooms(num=1)
    alone.reset(seeds[4:5], split="heldout", task=True)
    (one,) = Hazards(buffer=0.5).guardrails(Oracle(), alone, seeds[4:5])
    points = torch.rand(1, 50, 2) * 60
    torch.testing.assert_close(
        one.violation_of(points), guardrail.select(torch.tensor([4])).violation_of(points)
    )


def test_the_way_between_two_steps_counts_as_well(placed):
    _, _, guardrail = placed
    alone = guardrail.select(torch.tensor([0]))
    x, y = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    inside = torch.stack([x, y], -1)[alone.violation_of(torch.stack([x, y], -1)[None])[0] > 0][0]
    readings = torch.stack([inside - 20, inside + 20])[None].double()
    assert alone.violation_of(readings).max() < 0 < true_violations(alone, readings).max()
