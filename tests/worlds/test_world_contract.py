"""Every registered world keeps the contract of `telos.types.World`."""

import importlib.util

import numpy as np
import pytest

from telos.errors import NoTask
from telos.types import World
from telos.worlds import make, names

HAS_MUJOCO = importlib.util.find_spec("mujoco") is not None
NEEDS_MUJOCO = [pytest.mark.mujoco, pytest.mark.skipif(not HAS_MUJOCO, reason="mujoco is not installed")]
WORLDS = [
    *(pytest.param(name, marks=NEEDS_MUJOCO if name.startswith("Reacher") else []) for name in names()),
    "odd_worlds:Slider",
    "odd_worlds:SliderAdapter",
    "odd_worlds:Discrete",
    "odd_worlds:Still",
]

WITHOUT_TASKS = ("telos/Orbits-v0", "telos/OrbitsQuiet-v0")


@pytest.fixture(params=WORLDS)
def name(request):
    return request.param


@pytest.fixture
def world(name):
    world = make(name, 3)
    yield world
    world.close()


def _actions(world, steps, seed=0):
    rng = np.random.default_rng(seed)
    space = world.action_space
    return rng.uniform(space.low, space.high, (steps, world.num, space.dimension)).astype(np.float32)


def test_it_is_a_world_that_its_id_makes_again(world, name):
    assert isinstance(world, World)
    assert world.id == name
    assert world.action_space.block == 1
    assert world.episode_steps > 0


def test_frames_have_the_declared_shape_and_dtype(world, name):
    task = name not in WITHOUT_TASKS
    frames = [world.reset([1, 2, 3], task=task), world.step(_actions(world, 1)[0])]
    frames += [world.goal_frames()] if task else []
    assert {(frame.shape, frame.dtype) for frame in frames} == {((3, *world.frame_shape), np.dtype(np.uint8))}


def test_readings_are_as_declared_and_within_their_bounds(world, name):
    task = name not in WITHOUT_TASKS
    world.reset([1, 2, 3], task=task)
    for actions in _actions(world, 20):
        world.step(actions)
        for readings in (world.read(), world.goal_readings()) if task else (world.read(),):
            assert set(readings) == set(world.readings)
            for key, values in readings.items():
                reading = world.readings[key]
                assert values.shape == (3, reading.size)
                assert values.dtype == np.float32
                if reading.low is not None:
                    assert (values >= np.array(reading.low) - 1e-4).all()
                    assert (values <= np.array(reading.high) + 1e-4).all()


def test_a_seed_makes_the_same_episode_whatever_the_others(name):
    def episode(seeds, index):
        world = make(name, len(seeds))
        task = name not in WITHOUT_TASKS
        frames = [world.reset(seeds, task=task)]
        action = np.full((len(seeds), world.action_space.dimension), 0.5, dtype=np.float32)
        frames += [world.step(action) for _ in range(5)]
        frames += [world.goal_frames()] if task else []
        found = np.stack([frame[index] for frame in frames])
        world.close()
        return found

    np.testing.assert_array_equal(episode([5, 9], 1), episode([9, 3, 7], 0))


def test_splits_never_share_a_layout(world):
    if world.id == "odd_worlds:Still":
        pytest.skip("it has no layouts of its own")
    seen = {}
    for split in ("train", "heldout"):
        seeds = np.arange(90).reshape(30, 3).tolist() if world.id.startswith("telos/") else [[1, 2, 3]]
        seen[split] = {int(layout) for row in seeds for layout in _layouts(world, row, split)}
    assert seen["train"]
    assert seen["heldout"]
    assert not seen["train"] & seen["heldout"]


def _layouts(world, seeds, split):
    world.reset(seeds, split=split)
    return world.layouts()


def test_acting_changes_what_is_seen(world):
    before = world.reset([1, 2, 3])
    for actions in _actions(world, 5):
        after = world.step(actions)
    assert (before != after).any(axis=(1, 2, 3)).all()


def test_returned_frames_are_not_overwritten_by_later_steps(world):
    first = world.reset([1, 2, 3])
    kept = first.copy()
    second = world.step(_actions(world, 1)[0])
    kept_second = second.copy()
    world.step(_actions(world, 2)[1])
    np.testing.assert_array_equal(first, kept)
    np.testing.assert_array_equal(second, kept_second)


def test_reached_is_a_boolean_per_copy(world, name):
    if name in WITHOUT_TASKS:
        pytest.skip("there is nothing to reach")
    world.reset([1, 2, 3], task=True)
    reached = world.reached()
    assert reached.shape == (3,)
    assert reached.dtype == bool


@pytest.mark.parametrize("bad", ["nan", "count", "dimension"])
def test_bad_actions_are_refused(world, bad):
    if world.id == "odd_worlds:Still":
        pytest.skip("a world of its own that takes anything")
    size = world.action_space.dimension
    world.reset([1, 2, 3])
    shape = {"nan": (3, size), "count": (2, size), "dimension": (3, size + 1)}[bad]
    with pytest.raises(ValueError, match="actions must be finite numbers of shape"):
        world.step(np.full(shape, np.nan if bad == "nan" else 0.0, dtype=np.float32))


def test_bad_seeds_and_splits_are_refused(world):
    if world.id == "odd_worlds:Still":
        pytest.skip("a world of its own that takes anything")
    with pytest.raises(ValueError, match="seeds must be 3 integers"):
        world.reset([1, 2])
    with pytest.raises(ValueError, match="seeds must be 3 integers"):
        world.reset([1, 2, -3])
    with pytest.raises(ValueError, match="split must be"):
        world.reset([1, 2, 3], split="test")


def test_goals_need_a_task(world):
    if world.id == "odd_worlds:Still":
        pytest.skip("a world of its own that always has one")
    world.reset([1, 2, 3])
    for ask in (world.goal_frames, world.goal_readings, world.reached):
        with pytest.raises(ValueError, match="there is no goal"):
            ask()


@pytest.mark.parametrize("name", WITHOUT_TASKS)
def test_a_world_without_tasks_says_so(world):
    for ask in (lambda: world.reset([1, 2, 3], task=True), world.goal_frames, world.reached):
        with pytest.raises(NoTask, match="sets no tasks"):
            ask()
