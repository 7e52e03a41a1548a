from dataclasses import replace

import numpy as np
import pytest

from telos.worlds import MovingTexture, Rooms, Television
from telos.worlds.distractors import BRIGHTEST_SCREEN, BRIGHTEST_TEXTURE, DISTRACTORS, HEIGHT, WIDTH
from telos.worlds.painting import DOT_COLOUR, FLOOR_COLOUR, WALL_COLOUR

PLAIN = "telos/TwoRooms-v0"


@pytest.fixture(params=DISTRACTORS)
def id(request):
    return request.param


def _play(world, steps=30, **reset):
    """Frames `[T+1, n, 64, 64, 3]` and readings `[T+1, n, 2]`."""
    rng = np.random.default_rng(0)
    frames, readings = [world.reset(range(world.num), **reset)], [world.read()["agent_xy"]]
    for _ in range(steps):
        frames.append(world.step(rng.normal(0, 2, (world.num, 2))))
        readings.append(world.read()["agent_xy"])
    return np.stack(frames), np.stack(readings)


def _still(world, steps):
    """Frames `[T, n, 64, 64, 3]`, floats, in which the dot rests."""
    return np.stack([world.step(np.zeros((world.num, 2))) for _ in range(steps)]).astype(float)


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_everything_but_the_picture_is_that_of_two_rooms(id, split):
    worlds = [Rooms(name, 16, hazards=2) for name in (PLAIN, id)]
    (_, plain), (_, found) = (_play(world, split=split, task=True) for world in worlds)
    np.testing.assert_array_equal(plain, found)
    for ask in (
        Rooms.layouts,
        Rooms.reached,
        Rooms.in_hazard,
        lambda world: world.goal_readings()["agent_xy"],
        lambda world: world.hazards()[0],
        lambda world: world.hazards()[1],
    ):
        np.testing.assert_array_equal(ask(worlds[0]), ask(worlds[1]))


def test_off_it_gives_the_frames_of_two_rooms(id):
    off = Rooms(id, 4, distractor=replace(DISTRACTORS[id], strength=0.0))
    plain = Rooms(PLAIN, 4)
    np.testing.assert_array_equal(_play(off, task=True)[0], _play(plain, task=True)[0])
    np.testing.assert_array_equal(off.goal_frames(), plain.goal_frames())


def test_strength_scales_the_light_and_changes_nothing_else(id):
    worlds = [Rooms(id, 4, distractor=replace(DISTRACTORS[id], strength=s)) for s in (0.5, 1.0)]
    half, full, plain = (_play(world, 5)[0].astype(float) for world in (*worlds, Rooms(PLAIN, 4)))
    assert np.abs((half - plain) - (full - plain) / 2).max() <= 1.01


def test_a_distractor_lies_under_the_walls_and_the_dot(id):
    world, plain = Rooms(id, 16), Rooms(PLAIN, 16)
    frames, expected = (_play(each, 10)[0].astype(int) for each in (world, plain))
    solid = (expected == WALL_COLOUR).all(-1) | (np.abs(expected - DOT_COLOUR).max(-1) < 3)
    np.testing.assert_allclose(frames[solid], expected[solid], atol=3)
    most = {"telos/TwoRoomsTelevision-v0": BRIGHTEST_SCREEN}.get(id, BRIGHTEST_TEXTURE)
    floor = (expected == FLOOR_COLOUR).all(-1)
    assert (frames[floor] - expected[floor]).max() == most
    assert (frames[floor] >= expected[floor]).all()


def test_visible_hazards_lie_over_it_and_invisible_ones_leave_it_alone(id):
    worlds = [Rooms(id, 4, hazards=n, hazards_visible=v) for n, v in [(0, True), (2, False), (2, True)]]
    none, unseen, seen = (world.reset(range(4)).astype(float) for world in worlds)
    np.testing.assert_array_equal(none, unseen)
    centers, radii = worlds[2].hazards()
    inside = (
        np.linalg.norm(np.indices((64, 64))[::-1] - centers[0, 0, :, None, None], axis=0) < radii[0, 0] - 1
    )
    plain = Rooms(PLAIN, 4, hazards=2).reset(range(4))[0][inside]
    assert np.abs(seen[0][inside] - plain).max() <= 0.15 * BRIGHTEST_SCREEN + 1


def test_noise_dominates_what_changes(id):
    noisy, plain = (_play(Rooms(each, 16), 100)[0].astype(float) for each in (id, PLAIN))
    share = 1 - plain.var(axis=0).sum() / noisy.var(axis=0).sum()
    assert share > 0.8


def test_a_television_is_a_rectangle_somewhere_inside_the_border():
    world = Rooms("telos/TwoRoomsTelevision-v0", 64)
    world.reset(range(64))
    changes = _still(world, 12).std(axis=0).max(axis=-1) > 0
    corners = set()
    for picture in changes:
        rows, columns = np.flatnonzero(picture.any(1)), np.flatnonzero(picture.any(0))
        assert (rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1) == (HEIGHT, WIDTH)
        assert min(rows[0], columns[0]) >= 4
        assert max(rows[-1], columns[-1]) <= 59
        corners.add((rows[0], columns[0]))
    assert len(corners) > 40


def _correlation(frames, lag):
    """Of values with those `lag` steps later, over all pixels that change."""
    light = frames - frames.mean(axis=0)
    return (light[lag:] * light[:-lag]).mean() / (light**2).mean()


def test_a_televisions_picture_is_forgotten_at_the_rate_it_says():
    for persistence, grain in [(0.5, 0.3), (0.9, 0.0), (0.0, 0.3)]:
        world = Rooms(num=16, distractor=Television(persistence=persistence, grain=grain))
        world.reset(range(16))
        frames = _still(world, 200)
        for lag in (1, 2):
            expected = (1 - grain) * persistence**lag
            assert _correlation(frames, lag) == pytest.approx(expected, abs=0.06)


def test_a_texture_drifts_by_its_velocity_where_its_waves_keep_their_phases():
    world = Rooms(num=4, distractor=MovingTexture(change=0.0))
    before = world.reset(range(4)).astype(float)
    moved = np.zeros((4, 2))
    while np.abs(moved).max() < 4:
        after = world.step(np.zeros((4, 2))).astype(float)
        moved += world._playing._velocity
    for copy in range(4):
        x, y = np.rint(moved[copy]).astype(int)
        best = min(
            ((dx, dy) for dx in range(x - 2, x + 3) for dy in range(y - 2, y + 3)),
            key=lambda d: np.abs(after[copy] - np.roll(before[copy], d[::-1], (0, 1)))[16:48, 16:48].mean(),
        )
        assert np.abs(np.array(best) - moved[copy]).max() <= 1


def test_a_still_texture_is_still_and_a_moving_one_is_soon_another():
    still = Rooms(num=2, distractor=MovingTexture(speed=0.0, change=0.0))
    first = still.reset([0, 1])
    np.testing.assert_array_equal(still.step(np.zeros((2, 2))), first)
    moving = Rooms(num=16, distractor=MovingTexture())
    moving.reset(range(16))
    assert abs(_correlation(_still(moving, 300), 25)) < 0.15


def test_a_goal_shows_the_same_scene_at_another_time_and_always_the_same(id):
    world = Rooms(id, 8)
    first = world.reset(range(8), task=True)
    goals = world.goal_frames()
    world.step(np.zeros((8, 2)))
    np.testing.assert_array_equal(world.goal_frames(), goals)
    assert (np.abs(first.astype(int) - goals) > 16).any(-1).mean() > 0.1
    if id == "telos/TwoRoomsTelevision-v0":
        frames = np.concatenate([_still(world, 5), goals[None].astype(float)])
        there = (frames != Rooms(PLAIN, 8).reset(range(8), task=True)).any(-1)
        place = there[:5].all(axis=0)
        assert (there[5] & place).sum() > 0.95 * place.sum()  # the same place


def test_splits_and_seeds_have_textures_of_their_own(id):
    world = Rooms(id, 2)
    lights = []
    for split in ("train", "heldout"):
        frames = world.reset([0, 1], split=split).astype(float)
        lights += list(frames - Rooms(PLAIN, 2).reset([0, 1], split=split))
    correlation = np.corrcoef([light.ravel() - light.mean() for light in lights])
    assert np.abs(correlation - np.eye(4)).max() < 0.7


def test_frames_at_shows_the_dot_elsewhere_at_this_moment(id):
    world = Rooms(id, 3)
    world.reset(range(3))
    frames = world.step(np.zeros((3, 2)))
    places = np.stack([world.read()["agent_xy"][1], [30.0, 20.0]])
    found = world.frames_at(1, places)
    assert np.abs(found[0].astype(int) - frames[1]).max() <= 1
    assert (found[0] != found[1]).any(axis=-1).sum() < 200  # two dots
    with pytest.raises(ValueError, match="reset must be called before frames_at"):
        Rooms(id).frames_at(0, places)


def test_strengths_out_of_range_are_errors():
    with pytest.raises(ValueError, match=r"strength must be between 0 and 1; got 1\.5"):
        Television(strength=1.5)
    with pytest.raises(ValueError, match="grain must be between 0 and 1; got nan"):
        Television(grain=float("nan"))
    with pytest.raises(ValueError, match="speed must be finite and not negative; got -1"):
        MovingTexture(speed=-1)
