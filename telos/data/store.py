"""Episodes on disk: memory-mapped shards, an append-only index, a schema, checksums.

A store is a folder:

    schema.json               what every episode has in common
    index.jsonl               one line per committed episode: shard, offset, rows, layout, seed, checksums
    00000.frames, 00000.actions, 00000.reading.NAME, 00001.frames, ...      raw little-endian rows
    lock                      held by the one process that appends

Row r of every file of a shard belongs to the same moment; an episode of T actions takes T+1 rows, the
last of which has an action of zeros. An episode never crosses shards. Data is on disk before its index
line is, so whatever the index names is whole; bytes that no line names are an uncommitted tail.
"""

from __future__ import annotations

import errno
import hashlib
import json
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from telos.data.disk import LOCK, append_bytes, cut, is_locked, lock, uncommitted
from telos.data.index import INDEX, Entry, read_index
from telos.data.schema import Episode, Schema
from telos.data.split import split_groups
from telos.errors import StoreError
from telos.files import sync, write_json

SCHEMA = "schema.json"
SHARD_BYTES = 64 * 2**20
Indices = Sequence[int] | np.ndarray


class UncommittedTail(UserWarning):
    """A writer died: what it had not committed was dropped. Every committed episode is there."""


class EpisodeStore:
    """A folder of episodes. `create` or `open` one; index it for an `Episode`; `Windows` samples from it.

    Opening checks sizes only. The checksum of an episode is checked the first time any of its data is
    read through this object, so no damaged byte reaches training; `verify` checks all of them at once.
    """

    def __init__(self, path: str | Path, *, append: bool = False) -> None:
        self.path = Path(path)
        self.schema = _read_schema(self.path)
        self._fields = self.schema.fields()
        self._lock = lock(self.path) if append else None
        self._entries: list[Entry] = []
        self._shard_rows: list[int] = []
        self._checked = np.zeros(0, bool)
        self._index_bytes = 0
        self._commit(read_index(self.path / INDEX))
        self._check_files()

    @staticmethod
    def create(path: str | Path, schema: Schema) -> EpisodeStore:
        """Make a new store in the folder `path`, which must be empty or absent, open for appending."""
        path = Path(path)
        if (path / SCHEMA).exists():
            raise StoreError(
                f"{path} already holds an episode store. EpisodeStore.open(path, append=True) adds to it."
            )
        try:
            path.mkdir(parents=True, exist_ok=True)
            strangers = [file.name for file in path.iterdir() if not _left_by_create(file)]
            if strangers:
                raise StoreError(
                    f"{path} is not empty (it holds {strangers[0]}); a new store needs an empty folder."
                )
            for left in path.glob(f".{SCHEMA}.*"):
                left.unlink()
            (path / INDEX).touch()
            write_json(path / SCHEMA, schema.to_json())
        except OSError as error:
            raise StoreError(f"{path}: a store cannot be made here ({error.strerror}).") from error
        return EpisodeStore(path, append=True)

    @staticmethod
    def open(path: str | Path, *, append: bool = False) -> EpisodeStore:
        """Open a store to read or, with `append`, to add to (one process at a time)."""
        return EpisodeStore(path, append=append)

    def close(self) -> None:
        """Let another process append. The store can still be read."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> EpisodeStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def checksum(self) -> str:
        """One checksum of all episodes, in their order: stores with the same one hold the same data."""
        parts = [[entry.layout, entry.seed, sorted(entry.crc.items())] for entry in self._entries]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    def __len__(self) -> int:
        """The number of episodes."""
        return len(self._entries)

    def __iter__(self) -> Iterator[Episode]:
        return (self[index] for index in range(len(self)))

    def __getitem__(self, index: int) -> Episode:
        """Episode `index`, copied to memory."""
        index = range(len(self))[index]
        self._ensure_checked([index])
        entry = self._entries[index]
        rows = slice(entry.offset, entry.offset + entry.rows)
        data = {name: np.array(self._map(entry.shard, name)[rows]) for name in self._fields}
        return Episode(
            frames=data["frames"],
            actions=data["actions"][:-1],
            readings={name: data[f"reading.{name}"] for name in self.schema.readings},
            layout=entry.layout,
            seed=entry.seed,
        )

    @property
    def num_frames(self) -> int:
        """Frames in all episodes."""
        return int(self.lengths.sum())

    @property
    def lengths(self) -> np.ndarray:
        """Frames (T+1) of each episode, int64 `[len]`."""
        return self._column("rows")

    @property
    def layouts(self) -> np.ndarray:
        """Layout of each episode, int64 `[len]`; -1 where unknown."""
        return self._column("layout")

    def split(self, heldout: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
        """Indices of the episodes to train on and of those held out, a part of about `heldout` of them.

        By layout: no layout is in both. By episode where the layout is unknown, and where all episodes
        have the same. What decides is a hash: those below `heldout` are held out, or the smallest one where
        none is. So an episode stays on its side as more are appended, for the same `heldout`, with two
        exceptions: if all had one known layout, the first episode of another one makes layouts decide; and
        if no hash was below `heldout`, a smaller one takes the place of the smallest.
        """
        return split_groups(self.layouts, heldout)

    def append(self, episodes: Iterable[Episode]) -> None:
        """Add episodes, all or none of them: they are on disk, and committed, when this returns.

        `StoreError` if one does not fit the schema, holds NaN, or the disk is full; the store stays valid.
        """
        if self._lock is None:
            raise StoreError(
                f"{self.path} is open for reading. EpisodeStore.open(path, append=True) adds to it."
            )
        episodes = list(episodes)
        if not episodes:
            return
        for number, episode in enumerate(episodes):
            episode.check(self.schema, f"{self.path}: episode {len(self) + number}")
        try:
            self._commit(self._write(episodes))
        except OSError as error:
            self._truncate()
            raise StoreError(self._says_why(error, episodes)) from error
        except BaseException:
            self._truncate()
            raise

    def frames_at(
        self, episodes: Sequence[int] | np.ndarray, steps: Sequence[int] | np.ndarray
    ) -> np.ndarray:
        """Frames `[n, H, W, C]` uint8 at step `steps[i]` of episode `episodes[i]`."""
        episodes, steps = np.asarray(episodes, np.int64), np.asarray(steps, np.int64)
        self.check_steps(episodes, steps)
        self._ensure_checked(episodes)
        out = np.empty((len(episodes), *self.schema.frame_shape), np.uint8)
        self.copy_frames(episodes, steps, 1, out[:, None])
        return out

    def readings_at(self, episodes: Indices, steps: Indices) -> dict[str, np.ndarray]:
        """Readings, each float32 `[n, size]`, at step `steps[i]` of episode `episodes[i]`."""
        episodes, steps = np.asarray(episodes, np.int64), np.asarray(steps, np.int64)
        self.check_steps(episodes, steps)
        rows = self.first_rows[episodes] + steps
        return {name: self.table(f"reading.{name}")[rows] for name in self.schema.readings}

    def check_steps(self, episodes: np.ndarray, steps: np.ndarray) -> None:
        """Raise `IndexError` where an episode, or a step of it, does not exist."""
        if episodes.shape != steps.shape or episodes.ndim != 1:
            raise ValueError(f"episodes and steps must be [n] each; got {episodes.shape} and {steps.shape}.")
        if ((episodes < 0) | (episodes >= len(self))).any():
            raise IndexError(
                f"episodes must be in 0..{len(self) - 1}; got {episodes.min()}..{episodes.max()}."
            )
        wrong = (steps < 0) | (steps >= self.lengths[episodes])
        if wrong.any():
            first = int(np.argmax(wrong))
            raise IndexError(
                f"episode {episodes[first]} has the steps 0..{self.lengths[episodes[first]] - 1}; "
                f"got {steps[first]}."
            )

    @property
    def first_rows(self) -> np.ndarray:
        """Row of `table` at which each episode starts, int64 `[len]`."""
        if "first" not in self._columns:
            self._columns["first"] = np.cumsum(self.lengths) - self.lengths
        return self._columns["first"]

    def table(self, name: str) -> np.ndarray:
        """A small field (`actions`, `reading.NAME`) of all episodes in memory: float32 `[num_frames, k]`.

        Episode i starts at row `first_rows[i]`; its last action row is zeros.
        """
        if name not in self._tables:
            for index in range(len(self)):
                self._check_field(index, name)
            used = [self._map(shard, name) for shard in range(len(self._shard_rows))]
            shape = self._fields[name][1]
            self._tables[name] = np.concatenate([np.zeros((0, *shape), np.float32), *used])
        return self._tables[name]

    def copy_frames(self, episodes: np.ndarray, steps: np.ndarray, stride: int, out: np.ndarray) -> None:
        """Copy frames steps[i], steps[i]+stride, ... of episode episodes[i] to out[i], `[n, T, H, W, C]`.

        Steps must exist (`check_steps`). One copy per window: frames of an episode lie one after the other.
        """
        self._ensure_checked(episodes)
        span = (out.shape[1] - 1) * stride + 1
        shards = self._column("shard")[episodes].tolist()
        starts = (self._column("offset")[episodes] + steps).tolist()
        mapped = {shard: self._map(shard, "frames") for shard in set(shards)}
        for target, shard, start in zip(out, shards, starts, strict=True):
            target[...] = mapped[shard][start : start + span : stride]

    def verify(self) -> None:
        """Check every byte of every committed episode; `StoreError` names the first damaged file."""
        self._checked[:] = False
        for index in range(len(self)):
            for name in self._fields:
                self._check_field(index, name)
        self._checked[:] = True

    def _commit(self, added: list[Entry]) -> None:
        """Take in entries that follow on the ones so far, and forget what was mapped."""
        for entry in added:
            self._index_bytes += len(entry.line())
            if entry.shard == len(self._shard_rows):
                self._shard_rows.append(0)
            if entry.shard != len(self._shard_rows) - 1 or entry.offset != self._shard_rows[-1]:
                raise StoreError(
                    f"{self.path / INDEX}: line {len(self) + 1} does not follow on the line before it. "
                    "Restore the file from a copy."
                )
            self._shard_rows[-1] += entry.rows
            self._entries.append(entry)
        self._checked = np.concatenate([self._checked, np.zeros(len(added), bool)])
        self._maps: dict[tuple[int, str], np.ndarray] = {}
        self._tables: dict[str, np.ndarray] = {}
        self._columns: dict[str, np.ndarray] = {}

    def _column(self, name: str) -> np.ndarray:
        if name not in self._columns:
            self._columns[name] = np.array([getattr(entry, name) for entry in self._entries], np.int64)
        return self._columns[name]

    def _file(self, shard: int, name: str) -> Path:
        return self.path / f"{shard:05d}.{name}"

    def _row_bytes(self, name: str) -> int:
        dtype, shape = self._fields[name]
        return dtype.itemsize * int(np.prod(shape))

    def _map(self, shard: int, name: str) -> np.ndarray:
        if (shard, name) not in self._maps:
            dtype, shape = self._fields[name]
            shape = (self._shard_rows[shard], *shape)
            self._maps[shard, name] = np.asarray(
                np.memmap(self._file(shard, name), dtype=dtype, mode="r", shape=shape)
            )
        return self._maps[shard, name]

    def _ensure_checked(self, episodes: Indices) -> None:
        episodes = np.asarray(episodes)
        for index in np.unique(episodes[~self._checked[episodes]]).tolist():
            for name in self._fields:
                self._check_field(index, name)
            self._checked[index] = True

    def _check_field(self, index: int, name: str) -> None:
        entry = self._entries[index]
        data = self._map(entry.shard, name)[entry.offset : entry.offset + entry.rows]
        if zlib.crc32(data.data) != entry.crc.get(name):
            raise StoreError(
                f"{self._file(entry.shard, name)} is damaged: episode {index} (rows {entry.offset} to "
                f"{entry.offset + entry.rows - 1}) does not match its checksum. "
                "Restore the file from a copy, or collect again."
            )

    def _write(self, episodes: list[Episode]) -> list[Entry]:
        """Write data, then index lines, each flushed to the disk."""
        added: list[Entry] = []
        shard = max(len(self._shard_rows) - 1, 0)
        rows = self._shard_rows[-1] if self._shard_rows else 0
        pending: list[dict[str, np.ndarray]] = []
        for episode in episodes:
            count = len(episode.frames)
            if rows and (rows + count) * self.schema.frame_bytes > SHARD_BYTES:
                self._write_shard(shard, pending)
                shard, rows, pending = shard + 1, 0, []
            data = episode.rows()
            crc = {name: zlib.crc32(values.data) for name, values in data.items()}
            added.append(Entry(shard, rows, count, int(episode.layout), int(episode.seed), crc))
            pending.append(data)
            rows += count
        self._write_shard(shard, pending)
        sync(self.path)
        append_bytes(self.path / INDEX, [b"".join(entry.line() for entry in added)])
        return added

    def _write_shard(self, shard: int, pending: list[dict[str, np.ndarray]]) -> None:
        for name in self._fields:
            append_bytes(self._file(shard, name), [data[name].data.cast("B") for data in pending])

    def _says_why(self, error: OSError, episodes: list[Episode]) -> str:
        kept = f"The {len(self)} episodes committed before are intact"
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return f"{self.path} cannot be written: {error.strerror}. {kept}."
        needed = sum(len(episode.frames) for episode in episodes) * self.schema.frame_bytes / 2**20
        return f"{self.path}: the disk is full. {kept}; free at least {needed:.0f} MiB and continue."

    def _sizes(self) -> dict[str, int]:
        """Committed bytes of every file that appending touches, by file name."""
        sizes = {
            self._file(shard, name).name: rows * self._row_bytes(name)
            for shard, rows in enumerate(self._shard_rows)
            for name in self._fields
        }
        return {INDEX: self._index_bytes, **sizes}

    def _check_files(self) -> None:
        """Committed files must be whole; bytes after what is committed are dropped with a notice."""
        tail = uncommitted(self.path, self._sizes())
        if not tail or (self._lock is None and is_locked(self.path)):
            return  # a process is appending now: its work in progress is not a tail
        warnings.warn(
            f"{self.path}: dropped {sum(tail.values())} bytes that a writer had not committed when it died "
            f"({', '.join(sorted(tail))}). All {len(self)} committed episodes are there.",
            UncommittedTail,
            stacklevel=4,
        )
        if self._lock is not None:
            self._truncate()

    def _truncate(self) -> None:
        sizes = self._sizes()
        for name in uncommitted(self.path, sizes):
            cut(self.path / name, sizes.get(name, 0))


def _read_schema(path: Path) -> Schema:
    file = path / SCHEMA
    if not file.is_file():
        what = f"is not an episode store: it has no {SCHEMA}" if path.exists() else "does not exist"
        raise StoreError(f"{path} {what}. `telos collect` or `telos data import` makes a store.")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file} cannot be read ({error.strerror}).") from error
    try:
        value = json.loads(content)
    except ValueError as error:
        raise StoreError(f"{file} is damaged ({error}). Restore it from a copy, or collect again.") from error
    return Schema.from_json(value, str(file))


def _left_by_create(file: Path) -> bool:
    """Whether a `create` that was killed may have left this file."""
    if file.name in (INDEX, LOCK):
        return file.stat().st_size == 0
    return file.name.startswith(f".{SCHEMA}.")
