import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.worlds import Rooms
from telos.worlds.distractors import DISTRACTORS, Television
from telos.worlds.geometry import inside
from telos.worlds.layouts import PADDING
from telos.worlds.rooms import DISCRETE, IDS, MAX_STEP, REACHED


@pytest.fixture(params=[id for id in IDS if id not in (*DISCRETE, *DISTRACTORS)])
def rooms(request):
    return Rooms(request.param, 64)


def _side(rooms):
    """Which room start and goal of each copy lie in."""
    family = IDS[rooms.id]()
    floors = [family.floor(int(layout)) for layout in rooms.layouts()]
    boxes = np.stack([floor.rooms for floor in floors])
    grown = boxes + np.array([1.0, 1.0, -1.0, -1.0]) * (PADDING - 1e-3)
    places = np.stack([rooms.read()["agent_xy"], rooms.goal_readings()["agent_xy"]], axis=1)
    within = (places[:, :, None] > grown[:, None, :, :2]) & (places[:, :, None] < grown[:, None, :, 2:])
    assert (within.all(-1).sum(-1) == 1).all(), "two widths of the dot from every wall"
    return within.all(-1).argmax(-1), floors


def test_tasks_start_and_end_in_adjacent_rooms(rooms):
    rooms.reset(range(64), task=True)
    sides, floors = _side(rooms)
    pairs = [{tuple(pair) for pair in floor.adjacent.tolist()} for floor in floors]
    assert all(tuple(side) in pair for side, pair in zip(sides.tolist(), pairs, strict=True))
    assert len({tuple(side) for side in sides.tolist()}) == len(pairs[0])


def test_exploration_starts_anywhere_free(rooms):
    rooms.reset(range(64))
    starts = rooms.read()["agent_xy"]
    family = IDS[rooms.id]()
    for start, layout in zip(starts, rooms.layouts(), strict=True):
        assert not inside(start, family.floor(int(layout)).walls)
    assert starts.min() < 12.0
    assert starts.max() > 52.0


def test_actions_are_pixels_and_long_ones_are_shortened():
    rooms = Rooms(num=2)
    rooms.reset([0, 1], task=True)
    start = np.full((2, 2), 10.0)
    moved = rooms.true_step(start, np.array([[1.0, -0.5], [30.0, 40.0]]))
    np.testing.assert_allclose(moved - start, [[1.0, -0.5], [0.6 * MAX_STEP, 0.8 * MAX_STEP]])


def test_the_true_step_takes_many_candidates_and_is_what_step_does(rooms):
    rooms.reset(range(64))
    rng = np.random.default_rng(0)
    actions = rng.normal(0.0, 2.0, (64, 7, 2))
    before = rooms.read()["agent_xy"]
    many = rooms.true_step(np.repeat(before[:, None], 7, axis=1), actions)
    np.testing.assert_array_equal(rooms.read()["agent_xy"], before)
    rooms.step(actions[:, 3])
    np.testing.assert_allclose(rooms.read()["agent_xy"], many[:, 3], atol=1e-4)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.sampled_from([0.5, 2.0, 20.0]))
def test_random_walks_stay_out_of_the_walls(seed, scale):
    rooms = Rooms("telos/FourRooms-v0", 4)
    rooms.reset([seed] * 4)
    walls = IDS[rooms.id]().floor(int(rooms.layouts()[0])).walls
    rng = np.random.default_rng(seed)
    for _ in range(30):
        rooms.step(rng.normal(0.0, scale, (4, 2)))
        assert not inside(rooms.read()["agent_xy"], walls).any()


def test_reached_within_a_radius_of_the_goal_and_the_goal_frame_shows_it(rooms):
    frames = rooms.reset(range(64), task=True)
    assert not rooms.reached().any()
    ways = rooms.waypoints(rooms.read()["agent_xy"], rooms.goal_readings()["agent_xy"], rooms.layouts())
    for _ in range(120):
        here = rooms.read()["agent_xy"]
        for i, (way, place) in enumerate(zip(ways, here, strict=True)):
            if len(way) > 1 and np.linalg.norm(way[1] - place) < 1e-3:
                ways[i] = way[1:]
        frames = rooms.step(np.stack([way[min(1, len(way) - 1)] for way in ways]) - here)
    assert rooms.reached().all()
    assert np.linalg.norm(rooms.read()["agent_xy"] - rooms.goal_readings()["agent_xy"]).max() < REACHED
    assert np.abs(frames.astype(int) - rooms.goal_frames()).max() <= 1


def test_hazards_are_drawn_anew_clear_of_start_goal_and_doors():
    rooms = Rooms(num=16, hazards=3, hazard_radius=(2.0, 5.0))
    rooms.reset(range(16), task=True)
    centers, radii = rooms.hazards()
    assert centers.shape == (16, 3, 2)
    assert (radii >= 2.0).all()
    assert (radii <= 5.0).all()
    for place in (rooms.read()["agent_xy"], rooms.goal_readings()["agent_xy"]):
        assert (np.linalg.norm(centers - place[:, None], axis=-1) > radii + REACHED - 1e-3).all()
    assert len(np.unique(radii)) == 48


def test_invisible_hazards_leave_the_picture_alone():
    worlds = [Rooms(num=4, hazards=n, hazards_visible=v) for n, v in [(0, True), (2, False), (2, True)]]
    frames = [rooms.reset(range(4), task=True) for rooms in worlds]
    np.testing.assert_array_equal(frames[0], frames[1])
    assert (frames[0] != frames[2]).any(axis=(1, 2, 3)).all()


def test_a_step_through_a_hazard_counts_even_if_it_ends_outside():
    rooms = Rooms(num=2)
    rooms.reset([0, 1])
    here = rooms.read()["agent_xy"].astype(float)
    beside = np.array([[0.0, 0.0], [0.0, 8.0]])
    inward = np.sign(32.0 - here) * [1.0, 0.0]
    rooms.place_hazards((here + beside + inward)[:, None], np.full((2, 1), 0.5))
    assert not rooms.in_hazard().any()
    rooms.step(2.2 * inward)
    assert np.linalg.norm(rooms.read()["agent_xy"] - here, axis=-1).min() > 1.6
    assert rooms.in_hazard().tolist() == [True, False]


def test_placed_hazards_must_fit_the_copies():
    rooms = Rooms(num=2)
    rooms.reset([0, 1])
    with pytest.raises(ValueError, match="centers must have shape"):
        rooms.place_hazards(np.zeros((2, 3, 2)), np.zeros((2, 2)))


def test_hazards_too_large_to_place_are_an_error():
    with pytest.raises(ValueError, match="Use smaller hazards"):
        Rooms(hazards=1, hazard_radius=(60.0, 60.0)).reset([0], task=True)


def test_settings_say_what_the_id_does_not():
    assert all(not Rooms(name).settings for name in IDS)
    assert Rooms(hazards=2, hazards_visible=False).settings == {
        "hazards": 2,
        "hazard_radius": [3.0, 6.0],
        "hazards_visible": False,
    }
    faint = Television(strength=0.3)
    assert Rooms(distractor=faint).settings == {"distractor": repr(faint)}
    assert Rooms("telos/TwoRoomsTelevision-v0", distractor=Television()).settings == {}


def test_an_unknown_id_and_a_step_before_reset_are_errors():
    with pytest.raises(ValueError, match="id must be one of"):
        Rooms("telos/ThreeRooms-v0")
    with pytest.raises(ValueError, match="reset must be called before step"):
        Rooms().step(np.zeros((1, 2)))


def test_discrete_actions_stay_or_go_one_step_in_one_of_eight_directions():
    rooms = Rooms("telos/TwoRoomsDiscrete-v0", num=9)
    rooms.reset([0] * 9, task=True)
    before = rooms.read()["agent_xy"]
    rooms.step(np.eye(9, dtype=np.float32))
    moved = rooms.read()["agent_xy"] - before
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), [0] + [MAX_STEP] * 8, atol=1e-4)
    np.testing.assert_allclose(moved[[1, 3, 5, 7]] / MAX_STEP, [[1, 0], [0, 1], [-1, 0], [0, -1]], atol=1e-4)
