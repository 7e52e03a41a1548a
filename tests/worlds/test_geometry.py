from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.worlds.geometry import inside, move, shortest_path
from telos.worlds.layouts import BORDER, FourRooms, TwoRooms
from telos.worlds.rooms import MAX_STEP

WALL = np.array([[10.0, -1.0, 12.0, 20.0], [10.0, 28.0, 12.0, 64.0]])
FAMILIES = {"two": TwoRooms(), "four": FourRooms()}
COORDINATE = st.floats(-3.0, 3.0, allow_subnormal=False) | st.sampled_from([0.0, 2.4, -2.4, 1e-9])


def _free_start(floor, rng):
    start = rng.uniform(BORDER[:2] + 0.1, BORDER[2:] - 0.1)
    while inside(start, floor.walls, margin=0.01):
        start = rng.uniform(BORDER[:2] + 0.1, BORDER[2:] - 0.1)
    return start


def _by_small_steps(position, action, walls):
    """The same rule, marched: the last of 4,000 points along the step before anything solid."""
    points = position + np.linspace(0.0, 1.0, 4001)[:, None] * action
    solid = inside(points, walls) | (points <= BORDER[:2]).any(1) | (points >= BORDER[2:]).any(1)
    return points[-1] if not solid.any() else points[max(int(solid.argmax()) - 1, 0)]


@settings(max_examples=150, deadline=None)
@given(
    family=st.sampled_from(sorted(FAMILIES)),
    seed=st.integers(0, 10_000),
    actions=st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=20),
)
def test_never_inside_a_wall_nor_outside_the_border(family, seed, actions):
    rng = np.random.default_rng(seed)
    floor = FAMILIES[family].floor(FAMILIES[family].draw(rng))
    position = _free_start(floor, rng)
    for action in actions:
        position = move(position, np.array(action), floor.walls, BORDER)
        assert not inside(position, floor.walls)
        assert (position > BORDER[:2]).all()
        assert (position < BORDER[2:]).all()


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10_000), towards=st.tuples(COORDINATE, COORDINATE))
def test_the_wall_is_crossed_only_through_the_door(seed, towards):
    rng = np.random.default_rng(seed)
    floor = TwoRooms.floor(TwoRooms().draw(rng))
    wall, (_, door) = floor.doors[0, 0], floor.doors[0]
    position = np.array([wall - 1.5, door + rng.uniform(-6.0, 6.0)])
    for action in [towards, (2.4, 0.0), (2.4, rng.normal())]:
        after = move(position, np.array(action), floor.walls, BORDER)
        if (position[0] - wall) * (after[0] - wall) < 0:
            share = (wall - position[0]) / (after[0] - position[0])
            assert abs(position[1] + share * (after[1] - position[1]) - door) < 4.0
        position = after


@settings(max_examples=100, deadline=None)
@given(family=st.sampled_from(sorted(FAMILIES)), seed=st.integers(0, 10_000), angle=st.floats(0.0, 2 * np.pi))
def test_agrees_with_marching_in_small_steps(family, seed, angle):
    rng = np.random.default_rng(seed)
    floor = FAMILIES[family].floor(FAMILIES[family].draw(rng))
    start = _free_start(floor, rng)
    action = 12.0 * np.array([np.cos(angle), np.sin(angle)])  # longer than any wall is thick
    found = move(start, action, floor.walls, BORDER)
    slow = _by_small_steps(start, action, floor.walls)
    # A step that grazes a corner may be a hit for one and a miss for the other, by rounding.
    corners = floor.walls[:, [[0, 1], [0, 3], [2, 1], [2, 3]]].reshape(-1, 2)
    along = np.clip(((corners - start) @ action) / (action @ action), 0.0, 1.0)
    grazes = np.linalg.norm(start + along[:, None] * action - corners, axis=-1).min() < 0.02
    shallow = np.abs(action).min() < 0.1
    assert grazes or shallow or np.linalg.norm(found - slow) < 0.15


def test_a_step_stops_where_it_meets_the_wall_and_does_not_slide():
    found = move(np.array([8.0, 10.0]), np.array([4.0, 2.0]), WALL, BORDER)
    np.testing.assert_allclose(found, [10.0, 11.0], atol=2e-3)


def test_pushing_on_leaves_the_dot_where_it_is_and_it_can_leave_and_slide_along():
    stopped = move(np.array([8.0, 10.0]), np.array([4.0, 0.0]), WALL, BORDER)
    pushed = move(stopped, np.array([2.0, 1.0]), WALL, BORDER)
    np.testing.assert_allclose(pushed, stopped, atol=2e-3)
    for along in np.array([[0.0, 2.0], [-2.0, 0.0]]):
        np.testing.assert_allclose(move(pushed, along, WALL, BORDER), pushed + along)


def test_fast_steps_do_not_tunnel():
    found = move(np.array([8.0, 10.0]), np.array([40.0, 0.0]), WALL, BORDER)
    assert found[0] < 10.0


def test_leading_dimensions_broadcast():
    rng = np.random.default_rng(0)
    start, action = np.full((2, 5, 2), 8.0), rng.uniform(-3.0, 3.0, (2, 5, 2))
    walls = np.stack([WALL, WALL + np.array([2.0, 0.0, 2.0, 0.0])])
    together = move(start, action, walls[:, None], BORDER)
    one_by_one = [[move(start[i, j], action[i, j], walls[i], BORDER) for j in range(5)] for i in range(2)]
    np.testing.assert_array_equal(together, one_by_one)


def test_the_shortest_path_is_straight_where_nothing_is_in_the_way():
    way = shortest_path(np.array([6.0, 6.0]), np.array([8.0, 50.0]), WALL, BORDER)
    np.testing.assert_array_equal(way, [[6.0, 6.0], [8.0, 50.0]])


def test_the_shortest_path_goes_through_the_door_and_can_be_walked():
    start, goal = np.array([6.0, 6.0]), np.array([16.0, 6.0])
    way = shortest_path(start, goal, WALL, BORDER)
    np.testing.assert_allclose(way, [start, [9.5, 20.5], [12.5, 20.5], goal])
    for a, b in pairwise(way):
        np.testing.assert_allclose(move(a, b - a, WALL, BORDER), b)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_every_room_of_every_layout_can_be_reached(seed):
    rng = np.random.default_rng(seed)
    floor = FourRooms.floor(FourRooms().draw(rng))
    centres = (floor.rooms[:, :2] + floor.rooms[:, 2:]) / 2
    for goal in centres[1:]:
        way = shortest_path(centres[0], goal, floor.walls, BORDER)
        assert np.linalg.norm(np.diff(way, axis=0), axis=-1).sum() < 60 * MAX_STEP


def test_a_path_that_does_not_exist_is_an_error():
    closed = np.array([[10.0, -1.0, 12.0, 64.0]])
    with pytest.raises(ValueError, match="leave no way"):
        shortest_path(np.array([6.0, 6.0]), np.array([16.0, 6.0]), closed, BORDER)
