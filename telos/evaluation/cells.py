"""Cells: parts of a long evaluation, stored one by one, so that it can be interrupted and shared."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from telos.errors import TelosError
from telos.evaluation.archive import load_with_arrays, save_with_arrays
from telos.files import Lock

Key = TypeVar("Key")


class Busy(Exception):  # noqa: N818 (nothing is wrong)
    """Another process is at a cell that is needed."""


@dataclass(frozen=True)
class Cells:
    """A folder of cells, which any number of processes may fill at once.

    Args:
        folder: where they are stored, one file each.
        identity: what every cell depends on; a folder of another one is refused.
    """

    folder: Path
    identity: Mapping[str, Any]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "identity.npz"
        if not path.exists():
            save_with_arrays(path, self.identity)
        if load_with_arrays(path) != self.identity:
            raise TelosError(
                f"{self.folder} holds cells of another evaluation. Give another folder, or delete this one."
            )

    def make(self, name: str, key: Key, make: Callable[[Key], Any]) -> None:
        """Make the cell of this name, unless it is stored or another process is at it."""
        path = self._path(name)
        if path.exists():
            return
        try:
            lock = Lock(path.with_suffix(".lock"))
        except BlockingIOError:
            return
        try:
            if not path.exists():
                save_with_arrays(path, make(key))
        finally:
            lock.release()

    def get(self, names: Sequence[str]) -> list[Any]:
        """What cells hold. `Busy` where another process is still making one of them."""
        if not all(self._path(name).exists() for name in names):
            raise Busy
        return [load_with_arrays(self._path(name)) for name in names]

    def total(self, key: str) -> float:
        """The sum of one number over all cells that are stored."""
        names = [path for path in sorted(self.folder.glob("*.npz")) if path != self._path("identity")]
        return sum(load_with_arrays(path)[key] for path in names)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.npz"


def in_turn(strands: Sequence[Callable[[], Any]], *, pause: float = 5.0) -> list[Any]:
    """The results of strands of work that may be `Busy`; those are called again, from their start."""
    found: dict[int, Any] = {}
    while True:
        for number, strand in enumerate(strands):
            if number not in found:
                try:
                    found[number] = strand()
                except Busy:
                    continue
        if len(found) == len(strands):
            return [found[number] for number in range(len(strands))]
        time.sleep(pause)
