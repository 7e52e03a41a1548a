"""What a slow encoder said of episodes outlives a run that was stopped, and nothing else."""

import errno
import importlib

import pytest
import safetensors.torch
import torch

from telos.errors import CheckpointError
from telos.training import train
from telos.training.encoded import Encoded
from tests.training.test_train import interrupt, metrics, same_weights, stop_at, whole  # noqa: F401

latents = importlib.import_module("telos.training.latents")


@pytest.fixture
def encoded(monkeypatch):
    """The episodes that were encoded for the predictors, as a list that grows."""
    calls, encode = [], latents.encode_episode
    monkeypatch.setattr(latents, "encode_episode", lambda *given: calls.append(given) or encode(*given))
    return calls


def stopped(store, recipe, folder, at, **settings):
    with pytest.raises(KeyboardInterrupt):
        train(store, recipe, folder, seed=5, progress=stop_at(*at, interrupt), **settings)


@pytest.mark.parametrize("at", [("encode", 4), ("prediction", 3)])
def test_no_episode_is_encoded_twice_and_the_numbers_are_the_same(
    store,
    recipe,
    whole,  # noqa: F811
    tmp_path,
    encoded,
    at,
):
    stopped(store, recipe, tmp_path, at, save_seconds=0)
    first = len(encoded)
    assert first >= 4
    assert list((tmp_path / "encoded").glob("*/*.safetensors"))
    train(store, recipe, tmp_path, seed=5)
    assert len(encoded) == len(store.split()[0])
    assert not (tmp_path / "encoded").exists()
    assert metrics(tmp_path) == metrics(whole)
    assert same_weights(tmp_path, whole)


def test_what_is_encoded_fast_leaves_nothing_on_the_disk(store, recipe, tmp_path, encoded):
    stopped(store, recipe, tmp_path, ("prediction", 3), save_seconds=1e9)
    assert encoded
    assert not (tmp_path / "encoded").exists()


def test_states_of_another_encoder_are_encoded_again(store, recipe, tmp_path, encoded):
    stopped(store, recipe, tmp_path, ("encode", 4), save_seconds=0)
    (part,) = (tmp_path / "encoded").glob("*/00000000.safetensors")
    safetensors.torch.save_file(safetensors.torch.load_file(part), part, {"of": "another"})
    train(store, recipe, tmp_path, seed=5)
    assert len(encoded) == 4 + len(store.split()[0])


def episodes(count):
    return [
        {"moving": torch.full((3, 2), float(n)), "scenes": torch.full((1,), n).half()} for n in range(count)
    ]


def filled(folder, count):
    kept = Encoded(folder, of="this", every=0)
    for episode in episodes(count):
        kept.add(episode)
    return kept


def test_a_damaged_part_and_those_after_it_are_made_again(tmp_path):
    filled(tmp_path, 5)
    (tmp_path / "00000003.safetensors").write_bytes(b"broken")
    again = Encoded(tmp_path, of="this", every=0)
    assert len(again.read()) == 3
    for episode in episodes(5)[3:]:
        again.add(episode)
    read = Encoded(tmp_path, of="this", every=0).read()
    assert [float(each["moving"][0, 0]) for each in read] == [0, 1, 2, 3, 4]
    assert all(each["scenes"].dtype == torch.float16 for each in read)


def test_parts_of_something_else_are_deleted(tmp_path):
    filled(tmp_path / "kept", 2)
    assert Encoded(tmp_path / "kept", of="that", every=0).read() == []
    assert not (tmp_path / "kept").exists()


def test_several_episodes_are_written_when_it_is_time(tmp_path, monkeypatch):
    clock = iter([0, 0, 1, 2, 3, 3, 4, 5])
    monkeypatch.setattr("telos.training.encoded.time.process_time", lambda: next(clock))
    kept = Encoded(tmp_path, of="this", every=3)
    assert kept.read() == []
    for episode in episodes(5):
        kept.add(episode)
    assert [path.name for path in tmp_path.iterdir()] == ["00000000.safetensors"]
    monkeypatch.undo()
    assert len(Encoded(tmp_path, of="this", every=3).read()) == 3


def test_a_full_disk_says_so(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", full)
    with pytest.raises(CheckpointError, match=r"No space left.*Free some space"):
        filled(tmp_path, 1)
    assert not list(tmp_path.iterdir())
