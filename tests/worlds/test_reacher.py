import subprocess
import sys

import gymnasium
import numpy as np
import pytest

from telos.worlds import make
from telos.worlds.reacher import ReacherAdapter

pytest.importorskip("mujoco")
pytestmark = pytest.mark.mujoco


@pytest.fixture
def world():
    world = make("Reacher-v5", 4)
    yield world
    world.close()


def test_the_dynamics_are_exactly_gymnasiums(world):
    world.reset([10, 11, 12, 13])
    env, adapter = gymnasium.make("Reacher-v5"), ReacherAdapter()
    env.reset(seed=2 * 12)
    adapter.start(env, np.random.default_rng([2 * 12, 0]))
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (50, 4, 2)).astype(np.float32)
    for action in actions:
        world.step(action)
        env.step(action[2])
        for name, values in adapter.read(env).items():
            np.testing.assert_array_equal(world.read()[name][2], values.astype(np.float32))


def test_fifty_steps_and_unit_torques(world):
    assert world.episode_steps == 50
    assert (world.action_space.low, world.action_space.high) == ((-1.0, -1.0), (1.0, 1.0))


def test_starts_and_goals_are_any_pose_at_rest(world):
    tips = []
    for seed in range(0, 40, 4):
        first = world.reset(range(seed, seed + 4), task=True)
        tips += [world.read()["fingertip_xy"], world.goal_readings()["fingertip_xy"]]
        np.testing.assert_array_equal(world.step(np.zeros((4, 2), dtype=np.float32)), first)
    radius = np.linalg.norm(np.concatenate(tips), axis=-1)
    assert radius.min() < 0.1
    assert radius.max() > 0.18


def test_the_goal_is_reached_within_five_centimetres(world):
    reached = []
    for seed in range(0, 40, 4):
        world.reset(range(seed, seed + 4), task=True)
        gap = world.read()["fingertip_xy"] - world.goal_readings()["fingertip_xy"]
        reached.append((world.reached(), np.linalg.norm(gap, axis=-1) < 0.05))
    found, wanted = map(np.concatenate, zip(*reached, strict=True))
    np.testing.assert_array_equal(found, wanted)
    assert 0 < wanted.sum() < 40


def test_the_target_is_hidden_and_the_tip_is_seen_where_it_is():
    env, adapter = gymnasium.make("Reacher-v5", render_mode="rgb_array"), ReacherAdapter()
    env.reset(seed=0)
    adapter.prepare(env)
    robot = env.unwrapped
    robot.set_state(np.array([0.5, 1.0, 0.1, 0.1]), np.zeros(4))
    frame = adapter.render(env).copy()
    robot.set_state(np.array([0.5, 1.0, -0.1, 0.15]), np.zeros(4))
    np.testing.assert_array_equal(adapter.render(env), frame)
    x, y = adapter.read(env)["fingertip_xy"] / 0.23
    red, green, _ = frame[round(63.5 - 64 * y), round(63.5 + 64 * x)].astype(int)
    adapter.close()
    env.close()
    assert green > red + 30


def test_a_world_that_is_not_closed_is_silent_when_the_interpreter_ends():
    code = "from telos.worlds import make; world = make('Reacher-v5', 2); world.reset([1, 2]); print('done')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300)
    assert (ended.returncode, ended.stdout) == (0, "done\n"), ended.stderr
    assert "Traceback" not in ended.stderr
