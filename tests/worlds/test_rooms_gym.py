import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import telos.worlds
from telos.worlds.layouts import heldout
from telos.worlds.rooms import IDS

assert telos.worlds.names()  # importing the package is what registers the ids with Gymnasium


@pytest.mark.parametrize("id", IDS)
def test_passes_gymnasiums_own_checker_without_warnings(id):
    check_env(gymnasium.make(id, render_mode="rgb_array").unwrapped)


@pytest.mark.parametrize("id", IDS)
def test_make_vec_gives_the_native_vector_environment(id):
    env = gymnasium.make_vec(id, num_envs=3)
    assert type(env).__name__ == "RoomsVectorEnv"
    frames, info = env.reset(seed=0)
    assert frames in env.observation_space
    assert info["goal_frame"].shape == (3, 64, 64, 3)


def test_each_copy_of_the_vector_environment_is_the_single_one():
    together = gymnasium.make_vec("telos/TwoRooms-v0", num_envs=2)
    frames, _ = together.reset(seed=7)
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (203, 2, 2)).astype(np.float32)
    rows = [frames, *(together.step(action)[0] for action in actions)]
    alone = gymnasium.make("telos/TwoRooms-v0")
    frame, _ = alone.reset(seed=8)
    for step, action in enumerate(actions[:, 1]):
        np.testing.assert_array_equal(rows[step][1], frame)
        frame = alone.reset()[0] if step == 200 else alone.step(action)[0]


def test_an_episode_is_truncated_after_200_steps_and_starts_anew():
    env = gymnasium.make_vec("telos/TwoRooms-v0", num_envs=2)
    _, first = env.reset(seed=0)
    ends = [env.step(np.zeros((2, 2)))[3] for _ in range(200)]
    assert np.flatnonzero([end.any() for end in ends]).tolist() == [199]
    _, _, _, truncated, info = env.step(np.zeros((2, 2)))
    assert not truncated.any()
    assert (info["layout"] != first["layout"]).any()


def test_the_reward_is_being_at_the_goal():
    env = gymnasium.make("telos/TwoRooms-v0")
    env.reset(seed=0)
    rooms = env.unwrapped.rooms
    rooms._position = rooms._goal.copy()
    _, reward, terminated, _, info = env.step(np.zeros(2, dtype=np.float32))
    assert (reward, terminated, bool(info["reached"])) == (1.0, False, True)


def test_options_choose_the_split_and_whether_there_is_a_task():
    env = gymnasium.make("telos/TwoRooms-v0").unwrapped
    for _ in range(10):
        assert heldout(env.reset(options={"split": "heldout"})[1]["layout"])
    assert "goal_agent_xy" not in env.reset(options={"task": False})[1]
    with pytest.raises(ValueError, match="options may hold"):
        env.reset(options={"spilt": "heldout"})
