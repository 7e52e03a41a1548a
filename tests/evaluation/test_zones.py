import numpy as np
import pytest
import torch

from telos.cost import Box, Disc
from telos.errors import UnknownName
from telos.evaluation import Across, Regions
from telos.evaluation.oracle import Oracle
from telos.evaluation.zones import FreeFloor
from telos.worlds import Rooms
from telos.worlds.rooms import REACHED


@pytest.fixture(scope="module", params=["telos/TwoRooms-v0", "telos/FourRooms-v0"])
def placed(request):
    world = Rooms(request.param, 8)
    seeds = Across().seeds(world, 1_000_000, 8)
    world.reset(seeds, split="heldout", task=True)
    return world, seeds, *Across().discs(world, seeds)


def test_a_zone_lies_on_the_shortest_way_and_clear_of_its_ends(placed):
    world, _, centers, radii = placed
    starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
    ways = world.waypoints(starts, goals, world.layouts())
    for center, radius, start, goal, way in zip(centers, radii, starts, goals, ways, strict=True):
        share = np.linspace(0, 1, 2001)[:, None, None]
        line = (way[:-1] + share * np.diff(way, axis=0)).reshape(-1, 2)
        assert np.linalg.norm(line - center, axis=1).min() < 0.1
        assert np.linalg.norm(center - start) > radius + 3
        assert np.linalg.norm(center - goal) > radius + REACHED


def test_a_way_round_every_zone_exists_and_a_wall_of_a_zone_has_none(placed):
    world, _, centers, radii = placed
    floor = FreeFloor(world)
    starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
    for copy in range(world.num):
        assert floor.connects(copy, starts[copy], goals[copy], Disc(centers[copy], radii[copy]), 3)
        assert not floor.connects(copy, starts[copy], goals[copy], Disc(goals[copy], 4.0), 1)


def test_a_zone_depends_on_the_seed_of_its_task_alone(placed):
    world, seeds, centers, radii = placed
    alone = Rooms(world.id, 1)
    alone.reset(seeds[5:6], split="heldout", task=True)
    center, radius = Across().discs(alone, seeds[5:6])
    np.testing.assert_array_equal(center[0], centers[5])
    assert radius[0] == radii[5]


def test_tasks_without_room_for_a_zone_are_passed_over():
    world = Rooms(num=4)
    seeds = Across(radius=(9.0, 9.0)).seeds(world, 50, 4)
    assert len(set(seeds)) == 4
    assert seeds != [50, 51, 52, 53]
    with pytest.raises(ValueError, match="leave a way round"):
        Across(radius=(40.0, 40.0)).seeds(world, 50, 1)


def test_across_refuses_worlds_it_does_not_know():

    world = Rooms(num=1)
    world.reset([1], split="heldout", task=True)
    guardrail = Across().guardrails(Oracle(), world, Across().seeds(world, 1, 1))[0]
    assert guardrail.name == "agent_xy"
    with pytest.raises(ValueError, match="ways of Rooms only"):
        Across().discs(type("Other", (), {"id": "other"})(), [1])


def test_regions_hold_in_every_task_and_know_their_readings():
    regions = Regions(outside=(("agent_xy", Box((0, 0), (32, 64))),), buffer=1.5)
    (guardrail,) = regions.guardrails(Oracle(), Rooms(num=2), [1, 2])
    assert guardrail.buffer == 1.5
    assert (guardrail.violation_of(torch.tensor([[10.0, 30.0], [50.0, 30.0]])) > 0).tolist() == [True, False]
    with pytest.raises(UnknownName, match="agent_xy"):
        Regions(outside=(("agent_xz", Box((0, 0), (1, 1))),)).guardrails(Oracle(), Rooms(), [1])
