"""Windows at block distance: the right frames, and the actions between them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from telos.data import Episode, EpisodeStore, Schema
from telos.errors import TrainingError
from telos.training.batches import BlockWindows
from telos.training.train import _encode_episode, _Latents
from telos.types import ActionSpace


class NamingEncoder(torch.nn.Module):
    """The state of a stack is what its pictures say: the episode and the moment of each frame."""

    def forward(self, pixels):
        return pixels[:, :, 0, 0].float()


def naming_model(frames, block):
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0), block=block)
    precision = lambda: torch.autocast("cpu", enabled=False)  # noqa: E731
    config = SimpleNamespace(frames=frames, action_space=space)
    return SimpleNamespace(config=config, encoder=NamingEncoder(), precision=precision)


def episode(number, steps):
    """Pixel colours are (episode, moment, 0); actions are (episode, moment) / 100."""
    frames = np.zeros((steps + 1, 4, 4, 3), np.uint8)
    frames[..., 0], frames[..., 1] = number, np.arange(steps + 1)[:, None, None]
    actions = np.stack([np.full(steps, number), np.arange(steps)], axis=1).astype(np.float32) / 100
    return Episode(frames=frames, actions=actions, readings={}, layout=number, seed=number)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    """Episodes of many lengths, the second of them (one step) shorter than any window."""
    schema = Schema(frame_shape=(4, 4, 3), action_space=ActionSpace((-1.0, -1.0), (1.0, 1.0)))
    lengths = [9, 1, 12, 2, 10, 11, 9, 14, 1, 12]
    with EpisodeStore.create(tmp_path_factory.mktemp("named") / "store", schema) as store:
        store.append([episode(number, steps) for number, steps in enumerate(lengths)])
    return store


def check(states, actions, *, frames, block):
    """`states` `[T+1, frames * 3]` name frames; slowly: each block's actions lead from one to the next."""
    number, first = int(states[0, 0]), int(states[0, -2])
    for step, state in enumerate(states.reshape(len(states), frames, 3)):
        present = first + step * block
        expected = [[number, present - frames + 1 + back, 0] for back in range(frames)]
        assert state.tolist() == expected
        if step < len(actions):
            taken = [[number, present + inside] for inside in range(block)]
            assert (actions[step].reshape(block, 2) * 100).round().tolist() == taken


@pytest.mark.parametrize(("frames", "block"), [(1, 1), (1, 4), (2, 2), (3, 1), (2, 4)])
def test_block_windows_line_up_with_a_slow_reading_of_the_episodes(named, frames, block):
    windows = BlockWindows(named, horizon=2, block=block, frames=frames, episodes=np.arange(len(named)))
    pixels, actions = windows.sample(40, torch.Generator().manual_seed(0))
    assert pixels.shape == (40, 3, frames * 3, 4, 4)
    for window, moves in zip(pixels, actions, strict=True):
        check(window[:, :, 1, 2].float(), moves, frames=frames, block=block)


@pytest.mark.parametrize(("frames", "block"), [(1, 1), (1, 4), (2, 2), (3, 1), (2, 4)])
def test_cached_states_line_up_with_the_actions_between_them(named, frames, block):
    latents = _Latents(naming_model(frames, block), named, 2, lambda *_, **__: None)
    states, actions = latents.sample(60, torch.Generator().manual_seed(0))
    assert states.shape == (60, 3, frames * 3)
    for window, moves in zip(states, actions, strict=True):
        check(window, moves, frames=frames, block=block)


def test_cached_states_are_of_every_start_of_the_training_episodes_and_no_other(named):
    latents = _Latents(naming_model(2, 2), named, 3, lambda *_, **__: None)
    first = latents.states[latents.starts]
    found = {(int(state[0]), int(state[1])) for state in first}
    train = named.split()[0]
    assert found == {(e, t) for e in train for t in range(named.lengths[e] - 1 - 3 * 2)}
    assert len(first) == len(found)


def test_no_episode_of_the_horizon_is_an_error_that_says_what_to_do(named):
    with pytest.raises(TrainingError, match=r"lower prediction\.horizon"):
        _Latents(naming_model(1, 4), named, 4, lambda *_, **__: None)


def test_encoding_an_episode_in_parts_changes_nothing():
    frames = np.random.default_rng(0).integers(256, size=(1030, 4, 4, 3), dtype=np.uint8)
    states = _encode_episode(naming_model(2, 1), frames)
    corner = frames[:, 0, 0].astype(np.float32)
    assert np.array_equal(states.numpy(), np.concatenate([corner[:-1], corner[1:]], axis=1))
