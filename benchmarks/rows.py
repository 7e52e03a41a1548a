"""Rows of a result, each kept when it is measured: a study that was stopped goes on from its own file."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.meter import machine
from telos.data import EpisodeStore
from telos.evaluation.archive import dump, read_json
from telos.files import Lock, atomic_path


@dataclass(frozen=True)
class Rows:
    """The rows of `path`, made with one configuration; any number of processes may add to them at once.

    A row that another machine measured than the header's says which: CPU-seconds differ.

    Args:
        path: the result, JSON: `header` and a list `rows`.
        keys: what tells rows apart, by name.
        header: what all rows depend on ("configuration") and whatever else stands above them.
        locks: a folder for the files by which processes tell each other what they are at.
    """

    path: Path
    keys: tuple[str, ...]
    header: Mapping[str, Any]
    locks: Path

    def __post_init__(self) -> None:
        self.locks.mkdir(parents=True, exist_ok=True)
        stored = self._read()["configuration"]
        if stored != json.loads(json.dumps(self.header["configuration"])):
            raise SystemExit(
                f"{self.path} holds rows of another configuration. Move it away to measure all anew."
            )

    def add(self, key: tuple[Any, ...], make: Callable[[], Mapping[str, Any]]) -> dict[str, Any] | None:
        """Measure and keep the row of this key; None where it is there, or another process is at it."""
        if self.has(key):
            return None
        try:
            lock = Lock(self.locks / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:16]}.lock")
        except BlockingIOError:
            return None
        try:
            if self.has(key):
                return None
            row = {**dict(zip(self.keys, key, strict=True)), **make()}
            with waiting(self.locks / "result.lock"):
                whole = self._read()
                if (here := _kind(machine())) != _kind(whole.get("machine", machine())):
                    row["machine"] = here
                whole["rows"] = sorted([*whole["rows"], row], key=lambda each: repr(self._key(each)))
                with atomic_path(self.path) as aside:
                    aside.write_text(dump(whole))
            return row
        finally:
            lock.release()

    def has(self, key: tuple[Any, ...]) -> bool:
        """Whether there is a row of this key."""
        return key in {self._key(row) for row in self._read()["rows"]}

    def _key(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(row[name] for name in self.keys)

    def _read(self) -> dict[str, Any]:
        return read_json(self.path) if self.path.exists() else {**self.header, "rows": []}


def _kind(machine: Mapping[str, Any]) -> dict[str, Any]:
    """What of a machine makes figures differ."""
    return {name: machine[name] for name in ("cpu", "cores", "torch")}


def as_many(store: EpisodeStore, episodes: int, path: Path) -> EpisodeStore:
    """The store, which holds as many episodes as its rows will say; else a message, and the end."""
    if len(store) != episodes:
        raise SystemExit(f"{path} holds {len(store)} episodes, not {episodes}. Delete it to collect anew.")
    return store


@contextmanager
def waiting(path: Path, *, pause: float = 0.5) -> Iterator[None]:
    """Hold the lock `path`, once nobody else does."""
    while True:
        try:
            lock = Lock(path)
            break
        except BlockingIOError:
            time.sleep(pause)
    try:
        yield
    finally:
        lock.release()
