import numpy as np
import pytest
import torch

from telos.data import Episode, EpisodeStore, Schema, Windows, labelled_frames
from telos.data import store as store_module
from telos.errors import StoreError
from telos.types import ActionSpace, Reading

torch.set_num_threads(1)
STEPS = [5, 3, 12, 0, 8]


@pytest.fixture
def store(tmp_path, monkeypatch):
    schema = Schema(
        (2, 4, 3), ActionSpace((-1.0, -1.0), (1.0, 1.0)), {"place": Reading(2), "time": Reading(1)}
    )
    monkeypatch.setattr(store_module, "SHARD_BYTES", 20 * schema.frame_bytes)
    with EpisodeStore.create(tmp_path / "s", schema) as store:
        for number, steps in enumerate(STEPS):
            random = np.random.default_rng(number)
            readings = {"place": random.random((steps + 1, 2), np.float32)}
            readings["time"] = np.arange(steps + 1, dtype=np.float32)[:, None]
            frames = random.integers(0, 256, (steps + 1, 2, 4, 3), np.uint8)
            store.append([Episode(frames, random.random((steps, 2), np.float32), readings)])
    return store


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(("length", "stride"), [(1, 1), (3, 1), (4, 2), (2, 4), (1, 3)])
def test_windows_are_those_of_a_slow_reference(store, length, stride):
    windows = Windows(store, length=length, stride=stride)
    numbers = np.arange(len(windows))
    batch = windows.read(numbers)
    expected = [
        (e, s)
        for e, steps in enumerate(STEPS)
        for s in range(steps + 1)
        if s + (length - 1) * stride <= steps
    ]
    assert list(zip(*(part.tolist() for part in windows.locate(numbers)), strict=True)) == expected
    for number, (e, s) in enumerate(expected):
        episode = store[e]
        moments = [s + t * stride for t in range(length)]
        frames = episode.frames[moments].transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(batch.pixels[number].numpy(), frames)
        np.testing.assert_array_equal(
            batch.readings["place"][number].numpy(), episode.readings["place"][moments]
        )
        blocks = [episode.actions[m : m + stride].reshape(-1) for m in moments[:-1]]
        blocks = np.array(blocks, np.float32).reshape(length - 1, stride * 2)
        np.testing.assert_array_equal(batch.actions[number].numpy(), blocks)


def test_block_actions_are_those_that_the_action_space_flattens(store):
    block = ActionSpace((-1.0, -1.0), (1.0, 1.0), block=3, held=False)
    batch = Windows(store, length=3, stride=3).read([2])
    steps = torch.from_numpy(store[2].actions[2:8])
    torch.testing.assert_close(block.expand(batch.actions[0]), steps)


def test_shapes_and_memory_layout(store):
    batch = Windows(store, length=3, stride=2).sample(7, generator())
    assert batch.pixels.shape == (7, 3, 3, 2, 4)
    assert batch.pixels.dtype == torch.uint8
    assert batch.pixels.flatten(0, 1).is_contiguous(memory_format=torch.channels_last)
    assert batch.actions.shape == (7, 2, 4)
    assert {name: values.shape for name, values in batch.readings.items()} == {
        "place": (7, 3, 2),
        "time": (7, 3, 1),
    }


def test_sampling_is_uniform_over_all_windows(store):
    windows = Windows(store, length=3)
    batch = windows.sample(20_000, generator())
    first = batch.readings["place"][:, 0, 0]
    _, counts = first.unique(return_counts=True)
    expected = 20_000 / len(windows)
    assert len(counts) == len(windows)
    assert ((counts - expected) ** 2 / expected).sum() < 50  # chi squared, 18 degrees of freedom: p < 1e-4


def test_sampling_depends_on_the_generator_alone(store):
    windows = Windows(store, length=3)
    one, two, other = (windows.sample(9, generator(seed)).pixels for seed in (1, 1, 2))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_only_the_chosen_episodes_are_drawn_from(store):
    windows = Windows(store, length=2, episodes=[4, 1])
    assert len(windows) == 8 + 3
    assert set(windows.locate(range(len(windows)))[0]) == {1, 4}


def test_batches_do_not_share_memory_with_the_store_or_each_other(store):
    windows = Windows(store, length=2)
    first = windows.read([0])
    expected = first.pixels.clone()
    windows.read([0]).pixels.fill_(7)
    assert torch.equal(first.pixels, expected)
    assert torch.equal(windows.read([0]).pixels, expected)


def test_episodes_too_short_for_any_window_are_said(store):
    with pytest.raises(ValueError, match=r"ask for 17 frames in a row; the longest of 5 episodes has 13"):
        Windows(store, length=5, stride=4)
    with pytest.raises(ValueError, match="longest of 0 episodes has 0"):
        Windows(store, length=1, episodes=[])


@pytest.mark.parametrize(("length", "stride", "episodes"), [(0, 1, None), (1, 0, None), (1, 1, [5])])
def test_wrong_arguments_are_refused(store, length, stride, episodes):
    with pytest.raises(ValueError, match="got"):
        Windows(store, length=length, stride=stride, episodes=episodes)


def test_a_window_that_does_not_exist_is_an_index_error(store):
    windows = Windows(store, length=2)
    with pytest.raises(IndexError, match="windows must be in"):
        windows.read([len(windows)])


def test_a_damaged_shard_is_found_before_it_reaches_a_batch(store):
    path = store.path / "00000.frames"
    data = bytearray(path.read_bytes())
    data[3] ^= 255
    path.write_bytes(data)
    windows = Windows(EpisodeStore.open(store.path), length=2)
    with pytest.raises(StoreError, match=r"00000\.frames is damaged: episode 0"):
        windows.sample(200, generator())


def test_labelled_frames_are_different_moments_with_their_readings(store):
    moments = sum(STEPS) + len(STEPS)
    labelled = labelled_frames(store, moments, generator())
    assert labelled.pixels.shape == (moments, 1, 3, 2, 4)
    assert len(labelled.readings["place"][:, 0].unique()) == moments


def test_labelled_frames_end_at_the_labelled_moment(store):
    labelled = labelled_frames(store, 5, generator(), frames=2, stride=3, episodes=[2])
    steps = labelled.readings["time"][:, 0].long().numpy()
    for back, pixels in ((3, labelled.pixels[:, 0]), (0, labelled.pixels[:, 1])):
        expected = store.frames_at([2] * 5, steps - back).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal(pixels.numpy(), expected)


def test_with_more_labels_than_moments_all_are_drawn(store):
    assert len(labelled_frames(store, 34, generator()).pixels) == 33


def test_no_labels_are_refused(store):
    with pytest.raises(ValueError, match="count must be at least 1; got 0"):
        labelled_frames(store, 0, generator())
