import numpy as np
import pytest

from telos.evaluation.oracle import Oracle
from telos.evaluation.sight import see
from telos.types import Observation
from telos.worlds import Rooms
from telos.worlds.distractors import DISTRACTORS
from telos.worlds.layouts import TwoRooms


@pytest.fixture(params=["telos/TwoRooms-v0", *DISTRACTORS])
def world(request):
    return Rooms(request.param, 64)


def test_dot_wall_and_door_are_read_whatever_moves_behind_them(world):
    rng = np.random.default_rng(0)
    frames = [world.reset(range(64))] + [world.step(rng.normal(0, 2, (64, 2))) for _ in range(10)]
    dots, walls, doors = see(frames[-1])
    true = np.stack([TwoRooms.floor(int(layout)).doors[0] for layout in world.layouts()])
    assert np.linalg.norm(dots - world.read()["agent_xy"], axis=-1).max() < 0.5
    np.testing.assert_allclose(walls, true[:, 0], atol=1e-6)
    assert np.abs(doors - true[:, 1]).max() < 1  # one position off, where the dot hides an edge
    assert (np.abs(doors - true[:, 1]) < 1e-6).mean() > 0.95


def test_the_oracle_of_a_world_sees_in_its_pictures_what_there_is(world):
    frames = world.reset(range(64), task=True)
    states = Oracle(world=world.id).encode(Observation.from_frames(frames)).numpy()
    doors = np.stack([TwoRooms.floor(int(layout)).doors[0] for layout in world.layouts()])
    true = np.concatenate([world.read()["agent_xy"], doors], axis=1)
    assert np.abs(states - true).max() < 1
    assert np.sqrt(((states - true) ** 2).mean(axis=0)).max() < 0.3
