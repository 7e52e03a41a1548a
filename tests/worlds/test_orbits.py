from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from telos.data import EpisodeStore, Persistent, Uniform, collect
from telos.errors import NoTask
from telos.training.batches import BlockWindows
from telos.worlds import Nuisances, Orbits, make, propagate
from telos.worlds.orbits import MOST_ECCENTRIC, NEAREST, QUIET, TIME_STEP
from telos.worlds.sky import FARTHEST, PLANET_RADIUS, STAR_RADIUS, empty_sky

NAMES = [field.name for field in fields(Nuisances)]


def _rest(world):
    return np.zeros((world.num, 1), np.float32)


def _watch(world, steps, seeds=None, **reset):
    """Frames `[T+1, n, 64, 128, 3]`, positions and velocities `[T+1, n, 3]`."""
    frames = [world.reset(range(world.num) if seeds is None else seeds, **reset)]
    motions = [world.motion()]
    for _ in range(steps):
        frames.append(world.step(_rest(world)))
        motions.append(world.motion())
    return np.stack(frames), *(np.stack(values) for values in zip(*motions, strict=True))


def _camera_matrix(eye):
    """An independent camera: a 4 x 4 look-at matrix as OpenGL has it, and a pinhole of focal length 64 px."""
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0.0, 1.0, 0.0])
    right /= np.linalg.norm(right)
    view = np.eye(4)
    view[:3, :3] = right, np.cross(right, forward), -forward
    view[:3, 3] = -view[:3, :3] @ eye
    pinhole = np.array([[64.0, 0.0, -31.5, 0.0], [0.0, -64.0, -31.5, 0.0], [0.0, 0.0, -1.0, 0.0]])
    return pinhole @ view


def _seen(position):
    """Pixels `[..., 2, 2]` and depths `[..., 2]` of points `[..., 3]` in the two views."""
    eyes = (np.array([0.0, 0.0, 4.0]), np.array([4.0, 0.0, 0.0]))
    points = np.concatenate([position, np.ones_like(position[..., :1])], axis=-1)
    images = np.stack([points @ _camera_matrix(eye).T for eye in eyes], axis=-2)
    return images[..., :2] / images[..., 2:], images[..., 2]


def test_energy_and_angular_momentum_stay_to_ten_digits():
    _, position, velocity = _watch(Orbits("telos/OrbitsQuiet-v0", 32), 200)
    energy = (velocity**2).sum(-1) / 2 - 1 / np.linalg.norm(position, axis=-1)
    momentum = np.cross(position, velocity)
    np.testing.assert_allclose(energy, np.broadcast_to(energy[0], energy.shape), atol=1e-10)
    np.testing.assert_allclose(momentum, np.broadcast_to(momentum[0], momentum.shape), atol=1e-10)


def test_readings_are_the_motion_in_single_precision():
    world = Orbits(num=4)
    world.reset(range(4))
    world.step(_rest(world))
    for value, true in zip(world.read().values(), world.motion(), strict=True):
        np.testing.assert_array_equal(value, true.astype(np.float32))


def test_a_turn_takes_as_long_as_keplers_third_law_says():
    world = Orbits("telos/OrbitsQuiet-v0", 32)
    world.reset(range(32))
    position, velocity = world.motion()
    axis = 1 / (2 / np.linalg.norm(position, axis=-1) - (velocity**2).sum(-1))
    period = 2 * np.pi * np.sqrt(axis**3)
    assert (period / TIME_STEP > 60).all()
    assert (period / TIME_STEP < 200).all()
    _, path, _ = _watch(world, 200)
    for copy, steps in enumerate(period / TIME_STEP):
        left = np.linalg.norm(path[: int(1.5 * steps), copy] - path[0, copy], axis=-1)
        back = 30 + left[30:].argmin()  # it is farther away in between
        assert abs(back - steps) < 1


def test_velocity_is_the_finite_difference_of_position():
    _, position, velocity = _watch(Orbits("telos/OrbitsQuiet-v0", 16), 100)
    # Simpson's rule for the way between two positions, from the velocities at its ends and middle.
    way = TIME_STEP / 3 * (velocity[:-2] + 4 * velocity[1:-1] + velocity[2:])
    np.testing.assert_allclose(position[2:] - position[:-2], way, atol=3e-4)
    central = (position[2:] - position[:-2]) / (2 * TIME_STEP)
    assert np.abs(central - velocity[1:-1]).max() < 0.02


def test_six_numbers_say_where_the_planet_goes():
    world = Orbits(num=8)
    _, position, velocity = _watch(world, 60, split="heldout")
    times = TIME_STEP * np.arange(61)[:, None]
    for found, true in zip(propagate(position[0], velocity[0], times), (position, velocity), strict=True):
        np.testing.assert_allclose(found, true, atol=1e-10)


def test_orbits_are_as_eccentric_as_they_say_and_keep_their_distances():
    world = Orbits("telos/OrbitsQuiet-v0", 300)
    world.reset(range(300))
    position, velocity = world.motion()
    momentum = np.cross(position, velocity)
    radius = np.linalg.norm(position, axis=-1, keepdims=True)
    eccentricity = np.linalg.norm(np.cross(velocity, momentum) - position / radius, axis=-1)
    axis = 1 / (2 / radius[:, 0] - (velocity**2).sum(-1))
    assert 0.4 < eccentricity.max() < MOST_ECCENTRIC
    assert (axis * (1 - eccentricity) > NEAREST - 1e-9).all()
    assert (axis * (1 + eccentricity) < FARTHEST + 1e-9).all()
    towards = momentum / np.linalg.norm(momentum, axis=-1, keepdims=True)
    assert np.abs(towards.mean(0)).max() < 0.15  # any direction


def test_the_planet_is_drawn_where_the_reading_says_and_as_large_as_its_depth_says():
    world = Orbits("telos/OrbitsQuiet-v0", 24)
    frames, position, _ = _watch(world, 30)
    places, depth = _seen(position)
    light = np.abs(frames.astype(float) - np.rint(empty_sky())).sum(-1)
    light = np.stack([light[..., :64], light[..., 64:]], axis=2)
    total = light.sum((-1, -2))
    axis = np.arange(64)
    centre = np.stack([(light.sum(-2) * axis).sum(-1), (light.sum(-1) * axis).sum(-1)], -1) / total[..., None]
    star = np.linalg.norm(places - 31.5, axis=-1)
    clear = star > 64 * PLANET_RADIUS / depth + 8  # of the star and its glow
    assert clear.sum() > 200
    np.testing.assert_allclose(centre[clear], places[clear], atol=0.1)
    share = total[clear] * depth[clear] ** 2
    assert share.std() / share.mean() < 0.05


def test_every_planet_is_wholly_in_both_views():
    world = Orbits("telos/OrbitsQuiet-v0", 200)
    world.reset(range(200))
    steps = [world.motion()[0]]
    for _ in range(40):
        world.step(_rest(world))
        steps.append(world.motion()[0])
    places, depth = _seen(np.stack(steps))
    reach = 64 * PLANET_RADIUS / depth
    assert (places - reach[..., None] > -0.5).all()
    assert (places + reach[..., None] < 63.5).all()


def test_a_planet_behind_the_star_is_covered_by_it_and_one_before_it_covers_it():
    world = Orbits("telos/OrbitsQuiet-v0", 2)
    world.reset([0, 1])
    ahead = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    world._elements = type("Held", (), {"at": staticmethod(lambda time: (ahead, 0 * ahead))})()
    before, behind = world.step(_rest(world))[:, 31:33, 31:33].astype(float)
    assert (before[..., 2] > before[..., 0]).all()  # a blue planet
    np.testing.assert_allclose(behind, np.rint(empty_sky())[31:33, 31:33], atol=1)
    assert PLANET_RADIUS / 5.5 > STAR_RADIUS / 4  # nowhere is it hidden


def _only(name):
    return replace(QUIET, **{name: getattr(Nuisances(), name)})


def _discs(position):
    """Which pixels `[..., 64, 128]` a planet may touch."""
    places, depth = _seen(position)
    grid = np.stack(np.meshgrid(np.arange(64), np.arange(64)), axis=-1)
    away = np.linalg.norm(grid - places[..., None, None, :], axis=-1)
    inside = away < 64 * PLANET_RADIUS / depth[..., None, None] + 1
    return np.concatenate([inside[:, :, 0], inside[:, :, 1]], axis=-1)


@pytest.mark.parametrize("name", NAMES)
def test_a_switch_changes_what_it_says_and_nothing_else(name):
    plain, *motion = _watch(Orbits(num=6, nuisances=QUIET), 12)
    frames, *same = _watch(Orbits(num=6, nuisances=_only(name)), 12)
    np.testing.assert_array_equal(motion, same)
    disc, changed = _discs(motion[0]), (frames != plain).any(-1)
    assert changed.any(axis=(2, 3)).mean() > 0.9
    if name in ("texture", "weather"):
        assert not changed[~disc].any()
    elif name == "stars":
        assert 0.001 < changed[~disc].mean() < 0.05
        assert ((frames[1:] == frames[:-1]).all(-1) | disc[1:] | disc[:-1]).all()  # they stand still
    else:
        assert ((frames[1:] != frames[:-1]).any(-1) & ~disc[1:] & ~disc[:-1]).any(axis=(2, 3)).mean() > 0.9


@pytest.mark.parametrize("name", ["stars", "flicker", "noise"])
def test_what_a_sensor_and_the_sky_add_is_the_same_whatever_the_planet_wears(name):
    planet = replace(_only(name), texture=1.0, weather=1.0)
    frames, position, _ = _watch(Orbits(num=3, nuisances=planet), 8)
    alone = _watch(Orbits(num=3, nuisances=_only(name)), 8)[0]
    np.testing.assert_array_equal(frames[~_discs(position)], alone[~_discs(position)])


@pytest.mark.parametrize("name", ["texture", "weather"])
def test_what_the_planet_wears_is_the_same_whatever_the_sensor_and_the_sky_add(name):
    clear, loud = Orbits(num=3, nuisances=_only(name)), Orbits(num=3)
    for world in (clear, loud):
        _watch(world, 8)
    one, other = clear._surface, loud._surface
    waves = (one.land, other.land) if name == "texture" else (one.clouds, other.clouds)
    np.testing.assert_array_equal(waves[0].vectors, waves[1].vectors)
    np.testing.assert_array_equal(waves[0].phases, waves[1].phases)
    np.testing.assert_array_equal(one.colours, other.colours)


@pytest.mark.parametrize(("name", "strength"), [("noise", 6.0), ("flicker", 0.1)])
def test_sensor_noise_and_flicker_are_as_strong_as_they_say(name, strength):
    world = Orbits(num=200, nuisances=replace(QUIET, **{name: strength}))
    first = world.reset(range(200)).astype(float)
    plain = Orbits(num=200, nuisances=QUIET).reset(range(200)).astype(float)
    bright = plain.min(-1) > 60
    if name == "noise":
        assert (first - plain)[bright].std() == pytest.approx(strength, rel=0.1)
        return
    gains = [(first[i] / plain[i])[bright[i]].mean() for i in range(200)]
    assert np.std(gains) == pytest.approx(strength, rel=0.2)


def test_the_surface_rotates_and_the_weather_changes():
    still = np.array([[0.9, 0.6, 0.3]])
    for name in ("texture", "weather"):
        world = Orbits(num=1, nuisances=replace(QUIET, **{name: 1.0}))
        world.reset([5])
        world._elements = type("Held", (), {"at": staticmethod(lambda time: (still, 0 * still))})()
        frames = np.stack([world.step(_rest(world)) for _ in range(30)]).astype(float)
        assert np.abs(np.diff(frames, axis=0)).max(axis=(1, 2, 3, 4)).min() > 3
        assert np.abs(frames[20] - frames[0]).max() > 40


def test_seeds_make_the_same_bytes_and_splits_share_no_scene():
    world, again = Orbits(num=3), Orbits(num=3)
    np.testing.assert_array_equal(_watch(world, 5)[0], _watch(again, 5)[0])
    many = Orbits("telos/OrbitsQuiet-v0", 500)
    scenes, orbits = {}, {}
    for split in ("train", "heldout"):
        many.reset(range(500), split=split)
        scenes[split] = set(many.layouts().tolist())
        orbits[split] = {tuple(position) for position in many.motion()[0]}
        assert len(scenes[split]) == len(orbits[split]) == 500
    assert not scenes["train"] & scenes["heldout"]
    assert not orbits["train"] & orbits["heldout"]


def test_the_one_action_is_nothing_and_all_that_reads_actions_copes(tmp_path):
    world = make("telos/Orbits-v0", 2)
    for policy in (Persistent(), Uniform()):
        actions = policy(world.action_space, 7, np.random.default_rng(0))
        np.testing.assert_array_equal(actions, np.zeros((7, 1)))
    collect(world, tmp_path / "data", episodes=4, seed=0, length=12)
    store = EpisodeStore.open(tmp_path / "data")
    store.verify()
    assert store.schema.action_space == world.action_space
    windows = BlockWindows(store, horizon=2, block=3, frames=2, episodes=[0, 1])
    pixels, actions = windows.sample(5, torch.Generator().manual_seed(0))
    assert list(pixels.shape) == [5, 3, 6, 64, 128]
    assert torch.equal(actions, torch.zeros(5, 2, 3))


def test_what_is_not_there_is_an_error():
    world = Orbits(num=1)
    with pytest.raises(NoTask, match="Orbits-v0 sets no tasks, so there is no goal"):
        world.reset([0], task=True)
    for ask in (world.goal_frames, world.goal_readings, world.reached):
        with pytest.raises(NoTask, match="there is no goal"):
            ask()
    for ask in (world.read, world.layouts, world.motion, lambda: world.step([[0.0]])):
        with pytest.raises(ValueError, match="reset must be called before"):
            ask()
    with pytest.raises(ValueError, match="id must be one of telos/Orbits-v0"):
        Orbits("telos/Orbit-v0")
    with pytest.raises(ValueError, match="num must be at least 1"):
        Orbits(num=0)
    with pytest.raises(ValueError, match=r"texture must be between 0, which is off, and 1; got 1\.5"):
        Nuisances(texture=1.5)
