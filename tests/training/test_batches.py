"""Windows at block distance: the right frames, and the actions between them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from telos.data import Episode, EpisodeStore, Schema
from telos.errors import TrainingError
from telos.training.batches import BlockWindows
from telos.training.latents import SCENES, Latents
from telos.types import ActionSpace


class NamingModel:
    """What moves is what the pictures say: the episode and the moment of each frame; so is the scene."""

    def __init__(self, frames, *, scene=True):
        self.config, self.size, self.has_scene = SimpleNamespace(look=frames), 3 * frames, scene

    def encode_video(self, frames):
        colours = frames[..., 0, 0].float().unfold(0, self.config.look, 1).movedim(-1, 1)
        return torch.cat([colours.flatten(1), colours[:, -1]], dim=1)

    def parameters(self):
        yield torch.zeros(1)

    def moving(self, states):
        return states[..., : self.size]

    def scene(self, states):
        return states[..., self.size :].unflatten(-1, (3, 1, 1)) if self.has_scene else None


def latents_of(store, frames, length, **model):
    return Latents(NamingModel(frames, **model), store, length, lambda *_, **__: None)


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


def check(states, actions, *, frames, block, spacing=1):
    """`states` `[T+1, frames * 3]` name frames; slowly: each block's actions lead from one to the next."""
    number, first = int(states[0, 0]), int(states[0, -2])
    for step, state in enumerate(states.reshape(len(states), frames, 3)):
        present = first + step * block
        expected = [[number, present + spacing * (back - frames + 1), 0] for back in range(frames)]
        assert state.tolist() == expected
        if step < len(actions):
            taken = [[number, present + inside] for inside in range(block)]
            assert (actions[step].reshape(block, 2) * 100).round().tolist() == taken


@pytest.mark.parametrize(
    ("frames", "block", "spacing"),
    [(1, 1, 1), (1, 4, 1), (1, 2, 3), (2, 2, 1), (3, 1, 1), (2, 4, 1), (2, 2, 3), (3, 3, 2)],
)
def test_block_windows_line_up_with_a_slow_reading_of_the_episodes(named, frames, block, spacing):
    windows = BlockWindows(
        named, horizon=2, block=block, frames=frames, spacing=spacing, episodes=np.arange(len(named))
    )
    pixels, actions = windows.sample(40, torch.Generator().manual_seed(0))
    assert pixels.shape == (40, 3, frames * 3, 4, 4)
    for window, moves in zip(pixels, actions, strict=True):
        check(window[:, :, 1, 2].float(), moves, frames=frames, block=block, spacing=spacing)


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_cached_states_line_up_with_the_actions_between_them(named, frames):
    states, actions, _ = latents_of(named, frames, 4).sample(60, torch.Generator().manual_seed(0))
    assert states.shape == (60, 5, frames * 3)
    for window, moves in zip(states, actions, strict=True):
        check(window, moves, frames=frames, block=1)


@pytest.mark.parametrize("frames", [1, 3])
def test_a_cached_scene_is_of_the_episode_of_its_window(named, frames):
    latents = latents_of(named, frames, 4)
    states, _, scenes = latents.sample(400, torch.Generator().manual_seed(0))
    assert torch.equal(scenes[:, 0, 0, 0], states[:, 0, 0])
    shown = {}
    for number, moment, _ in scenes.flatten(1).int().tolist():
        assert frames - 1 <= moment < named.lengths[number]
        shown.setdefault(number, set()).add(moment)
    assert {len(moments) for moments in shown.values()} == {SCENES}


def test_a_model_without_a_scene_has_none_cached(named):
    assert latents_of(named, 1, 4, scene=False).sample(3, torch.Generator())[2] is None


def test_cached_states_are_of_every_start_of_the_training_episodes_and_no_other(named):
    latents = latents_of(named, 2, 6)
    first = latents.moving[latents.starts]
    found = {(int(state[0]), int(state[1])) for state in first}
    train = named.split()[0]
    assert found == {(e, t) for e in train for t in range(named.lengths[e] - 1 - 6)}
    assert len(first) == len(found)


def test_no_episode_of_the_horizon_is_an_error_that_says_what_to_do(named):
    longest = int(named.lengths[named.split()[0]].max()) - 1  # environment steps
    assert len(latents_of(named, 1, longest).starts) >= 1
    with pytest.raises(TrainingError, match=rf"{longest + 1} environment steps.*lower prediction\.horizon"):
        latents_of(named, 1, longest + 1)
