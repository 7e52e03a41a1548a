import errno
import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from telos.data import Episode, EpisodeStore, Schema, UncommittedTail
from telos.data import store as store_module
from telos.errors import StoreError
from telos.types import ActionSpace, Reading

SCHEMA = Schema(
    frame_shape=(4, 6, 3),
    action_space=ActionSpace((-1.0, -2.0), (1.0, 2.0), max_norm=1.5),
    readings={"agent_xy": Reading(2, "px", (0.0, 0.0), (6.0, float("inf"))), "speed": Reading(1)},
    world="test/World",
    frame_rate=25.0,
    source={"made_by": "test"},
)


def episode(number: int, steps: int = 5) -> Episode:
    random = np.random.default_rng(number)
    return Episode(
        frames=random.integers(0, 256, (steps + 1, 4, 6, 3), np.uint8),
        actions=random.standard_normal((steps, 2), np.float32),
        readings={
            "agent_xy": random.standard_normal((steps + 1, 2), np.float32),
            "speed": random.standard_normal((steps + 1, 1), np.float32),
        },
        layout=number % 7,
        seed=number,
    )


def assert_same(found: Episode, expected: Episode) -> None:
    np.testing.assert_array_equal(found.frames, expected.frames)
    np.testing.assert_array_equal(found.actions, expected.actions)
    for name, values in expected.readings.items():
        np.testing.assert_array_equal(found.readings[name], values)
    assert (found.layout, found.seed) == (expected.layout, expected.seed)


def filled(path: Path, count: int = 4) -> Path:
    with EpisodeStore.create(path, SCHEMA) as store:
        store.append([episode(number, steps=4 + number) for number in range(count)])
    return path


def contents(path: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in path.iterdir()}


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(store_module, "SHARD_BYTES", 15 * SCHEMA.frame_bytes)


def test_episodes_come_back_as_they_went_in(tmp_path, small_shards):
    path = filled(tmp_path / "s", 6)
    store = EpisodeStore.open(path)
    assert len(store) == 6
    assert store.num_frames == sum(5 + number for number in range(6))
    for number, found in enumerate(store):
        assert_same(found, episode(number, steps=4 + number))
    assert_same(store[-1], episode(5, steps=9))


def test_schema_comes_back_as_it_went_in(tmp_path):
    assert EpisodeStore.open(filled(tmp_path / "s")).schema == SCHEMA


def test_shards_are_bounded_and_hold_whole_episodes(tmp_path, small_shards):
    path = filled(tmp_path / "s", 6)
    sizes = [file.stat().st_size for file in sorted(path.glob("*.frames"))]
    assert len(sizes) > 1
    assert max(sizes) <= 15 * SCHEMA.frame_bytes


def test_appending_in_parts_gives_the_same_bytes(tmp_path, small_shards):
    whole = filled(tmp_path / "whole", 6)
    EpisodeStore.create(tmp_path / "parts", SCHEMA).close()
    for number in range(6):
        with EpisodeStore.open(tmp_path / "parts", append=True) as store:
            store.append([episode(number, steps=4 + number)])
    assert contents(tmp_path / "parts") == contents(whole)


def test_what_was_appended_can_be_read_through_the_same_store(tmp_path):
    with EpisodeStore.create(tmp_path / "s", SCHEMA) as store:
        for number in range(3):
            store.append([episode(number)])
            assert_same(store[number], episode(number))
            assert len(store.table("actions")) == 6 * (number + 1)


def test_frames_and_readings_at_steps(tmp_path):
    store = EpisodeStore.open(filled(tmp_path / "s"))
    episodes, steps = [3, 0, 3], [7, 0, 2]
    expected = [store[e].frames[s] for e, s in zip(episodes, steps, strict=True)]
    np.testing.assert_array_equal(store.frames_at(episodes, steps), expected)
    expected = [store[e].readings["agent_xy"][s] for e, s in zip(episodes, steps, strict=True)]
    np.testing.assert_array_equal(store.readings_at(episodes, steps)["agent_xy"], expected)


@pytest.mark.parametrize(("episodes", "steps"), [([4], [0]), ([-1], [0]), ([0], [5]), ([0], [-1])])
def test_a_step_that_does_not_exist_is_an_index_error(tmp_path, episodes, steps):
    store = EpisodeStore.open(filled(tmp_path / "s"))
    with pytest.raises(IndexError, match="got"):
        store.frames_at(episodes, steps)


def test_a_torn_index_line_is_dropped_with_a_notice(tmp_path):
    path = filled(tmp_path / "s")
    index = path / "index.jsonl"
    index.write_bytes(index.read_bytes()[:-9])
    with pytest.warns(UncommittedTail, match="index.jsonl"):
        store = EpisodeStore.open(path)
    assert len(store) == 3
    assert_same(store[2], episode(2, steps=6))


def test_reading_leaves_an_uncommitted_tail_and_appending_cuts_it(tmp_path):
    path = filled(tmp_path / "s")
    before = contents(path)
    for name in ("00000.frames", "00000.actions", "00001.frames", "index.jsonl"):
        with (path / name).open("ab") as file:
            file.write(b"half of something")
    torn = contents(path)
    with pytest.warns(UncommittedTail, match=r"00001\.frames"):
        EpisodeStore.open(path)
    assert contents(path) == torn
    with pytest.warns(UncommittedTail):
        EpisodeStore.open(path, append=True).close()
    assert contents(path) == before


def test_work_in_progress_of_a_living_writer_is_not_a_tail(tmp_path):
    path = filled(tmp_path / "s")
    writer = EpisodeStore.open(path, append=True)
    with (path / "00000.frames").open("ab") as file:
        file.write(b"more")
    with warnings.catch_warnings(action="error"):
        assert len(EpisodeStore.open(path)) == 4
    writer.close()


@pytest.mark.parametrize("name", ["00000.frames", "00000.actions", "00000.reading.speed"])
def test_a_flipped_byte_is_an_error_that_names_the_file(tmp_path, name):
    path = filled(tmp_path / "s")
    data = bytearray((path / name).read_bytes())
    data[len(data) // 2] ^= 1
    (path / name).write_bytes(data)
    store = EpisodeStore.open(path)
    with pytest.raises(StoreError, match=f"{name} is damaged.*Restore"):
        store.verify()
    with pytest.raises(StoreError, match=f"{name} is damaged"):
        list(store)


def test_a_flipped_byte_in_the_index_is_an_error_that_names_the_line(tmp_path):
    path = filled(tmp_path / "s")
    index = path / "index.jsonl"
    index.write_bytes(index.read_bytes().replace(b'"seed":2', b'"seed":3'))
    with pytest.raises(StoreError, match=r"index\.jsonl is damaged at line 3.*keeps the first 2 episodes"):
        EpisodeStore.open(path)


def test_lines_of_the_index_that_do_not_follow_are_an_error(tmp_path):
    path = filled(tmp_path / "s")
    index = path / "index.jsonl"
    lines = index.read_bytes().splitlines(keepends=True)
    index.write_bytes(b"".join([lines[0], *lines[2:]]))
    with pytest.raises(StoreError, match="line 2 does not follow"):
        EpisodeStore.open(path)


@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_committed_file_that_is_short_is_an_error_at_open(tmp_path, damage):
    path = filled(tmp_path / "s")
    file = path / "00000.frames"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-1])
    else:
        file.unlink()
    with pytest.raises(StoreError, match=r"00000\.frames (has|is missing)"):
        EpisodeStore.open(path)


def test_verify_accepts_a_sound_store(tmp_path, small_shards):
    store = EpisodeStore.open(filled(tmp_path / "s", 6))
    store.verify()
    assert len(store) == 6


def test_a_foreign_folder_is_not_a_store(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"is not an episode store.*telos collect"):
        EpisodeStore.open(tmp_path)
    with pytest.raises(StoreError, match=r"not empty \(it holds photo\.png\)"):
        EpisodeStore.create(tmp_path, SCHEMA)
    with pytest.raises(StoreError, match="does not exist"):
        EpisodeStore.open(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 2}, "format version 2; this telos reads version 1"),
        ({"format": "other"}, "does not describe an episode store"),
        ({"action": None}, "is damaged"),
    ],
)
def test_another_schema_file_is_an_error(tmp_path, change, message):
    path = filled(tmp_path / "s")
    value = json.loads((path / "schema.json").read_text())
    (path / "schema.json").write_text(json.dumps({**value, **change}))
    with pytest.raises(StoreError, match=message):
        EpisodeStore.open(path)


def test_create_refuses_a_folder_that_holds_a_store(tmp_path):
    with pytest.raises(StoreError, match="already holds an episode store"):
        EpisodeStore.create(filled(tmp_path / "s"), SCHEMA)


def test_create_goes_on_where_a_killed_create_stopped(tmp_path):
    path = filled(tmp_path / "s", 0)
    (path / "schema.json").rename(path / ".schema.json.7.part")
    EpisodeStore.create(path, SCHEMA).append([episode(0)])
    assert len(EpisodeStore.open(path)) == 1
    assert not list(path.glob(".*"))


def replaced(**fields) -> Episode:
    good = episode(0)
    values = {name: getattr(good, name) for name in ("frames", "actions", "readings", "layout", "seed")}
    return Episode(**{**values, **fields})


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (replaced(frames=np.zeros((6, 4, 6, 3), np.float32)), "frames must be uint8.*got float32"),
        (replaced(frames=np.zeros((6, 4, 5, 3), np.uint8)), r"frames must be .*got uint8 \[6, 4, 5, 3\]"),
        (replaced(frames=np.zeros((0, 4, 6, 3), np.uint8)), "frames must be"),
        (replaced(actions=np.zeros((6, 2), np.float32)), "actions .one fewer than frames. must be"),
        (replaced(actions=np.full((5, 2), np.nan, np.float32)), "actions .* finite; got .* at step 0"),
        (replaced(readings={}), "readings must be .*agent_xy"),
        (replaced(layout=2**63), "layout must fit"),
    ],
)
def test_an_episode_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path, bad, message):
    path = filled(tmp_path / "s")
    before = contents(path)
    with EpisodeStore.open(path, append=True) as store, pytest.raises(StoreError, match=message):
        store.append([episode(9), bad])
    assert contents(path) == before


def test_appending_needs_a_store_open_for_appending(tmp_path):
    with pytest.raises(StoreError, match=r"open for reading.*append=True"):
        EpisodeStore.open(filled(tmp_path / "s")).append([episode(0)])


def test_two_writers_are_refused_and_readers_are_not(tmp_path):
    path = filled(tmp_path / "s")
    first = EpisodeStore.open(path, append=True)
    with pytest.raises(StoreError, match="being appended to by another"):
        EpisodeStore.open(path, append=True)
    assert len(EpisodeStore.open(path)) == 4
    first.close()
    EpisodeStore.open(path, append=True).close()


class FullDisk:
    """Stands for `append_bytes` on a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room = room

    def __call__(self, path, parts):
        data = b"".join(bytes(part) for part in parts)
        with path.open("ab") as file:
            file.write(data[: self.room])
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("room", [0, 300, 2600, 2900, 3000])
def test_a_full_disk_is_said_and_leaves_a_valid_store(tmp_path, monkeypatch, small_shards, room):
    path = filled(tmp_path / "s")
    before = contents(path)
    with EpisodeStore.open(path, append=True) as store:
        with monkeypatch.context() as patch:
            patch.setattr(store_module, "append_bytes", FullDisk(room))
            with pytest.raises(StoreError, match=r"disk is full\. The 4 episodes .* intact; free"):
                store.append([episode(number) for number in range(6)])
        assert contents(path) == before
        store.append([episode(4)])
    assert_same(EpisodeStore.open(path)[4], episode(4))


def test_an_interrupt_while_writing_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    path = filled(tmp_path / "s")
    before = contents(path)
    original = store_module.append_bytes

    def interrupted(path, parts):
        original(path, parts)
        if path.name == "index.jsonl":
            raise KeyboardInterrupt

    monkeypatch.setattr(store_module, "append_bytes", interrupted)
    with EpisodeStore.open(path, append=True) as store, pytest.raises(KeyboardInterrupt):
        store.append([episode(4)])
    assert contents(path) == before


def test_another_write_error_is_said(tmp_path, monkeypatch):
    def broken(path, parts):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(store_module, "append_bytes", broken)
    with (
        EpisodeStore.create(tmp_path / "s", SCHEMA) as store,
        pytest.raises(StoreError, match="cannot be written: Input/output error"),
    ):
        store.append([episode(0)])


def test_a_store_cannot_be_made_where_a_file_is(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be made here"):
        EpisodeStore.create(tmp_path / "file", SCHEMA)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"frame_shape": (4, 0, 3)}, "frame_shape"),
        ({"action_space": ActionSpace((0.0,), (1.0,), block=2)}, "block=1"),
        ({"readings": {"../x": Reading(1)}}, "reading's name"),
    ],
)
def test_a_schema_that_makes_no_sense_is_refused(fields, message):
    good = {"frame_shape": (4, 4, 3), "action_space": ActionSpace((0.0,), (1.0,))}
    with pytest.raises(ValueError, match=message):
        Schema(**{**good, **fields})


def test_a_store_of_discrete_actions_says_so_and_refuses_others(tmp_path):
    schema = Schema((4, 6, 3), ActionSpace.discrete(3))
    good = Episode(np.zeros((3, 4, 6, 3), np.uint8), np.eye(3, dtype=np.float32)[[2, 0]])
    with EpisodeStore.create(tmp_path / "store", schema) as store:
        store.append([good])
        with pytest.raises(StoreError, match=r"actions must be one-hot.*got \[0.5, 0.5, 0.0\] at step 1"):
            store.append([Episode(good.frames, np.float32([[1, 0, 0], [0.5, 0.5, 0]]))])
    opened = EpisodeStore.open(tmp_path / "store")
    assert opened.schema.action_space == ActionSpace.discrete(3)
    opened.close()


def test_a_schema_from_before_there_were_discrete_actions_is_read():
    value = SCHEMA.to_json()
    del value["action"]["one_hot"]
    assert Schema.from_json(value, "schema.json") == SCHEMA
