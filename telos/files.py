"""Atomic writes: what is on disk is the old file or the new one, whole, whenever the process dies."""

from __future__ import annotations

import fcntl
import glob
import json
import os
import shutil
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def sync(path: Path) -> None:
    """Flush a file, or a folder's list of files, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A path beside `path` to write a file to; it replaces `path` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield aside
        sync(aside)
        aside.replace(path)
        sync(path.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path) -> Iterator[Path]:
    """A folder beside `path` to fill; it replaces the folder `path` when the block ends without an error.

    A folder cannot be replaced in one step: if the process dies between the two renames, `path` is absent
    and the old folder is beside it as `.NAME.PID.old`. The next `atomic_folder` of `path` puts it back.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _put_back(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        yield aside
        for file in aside.rglob("*"):
            sync(file)
        old = path.with_name(f".{path.name}.{os.getpid()}.old")
        if path.exists():
            path.replace(old)
        aside.replace(path)
        sync(path.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        _put_back(path)
        shutil.rmtree(aside, ignore_errors=True)


def _put_back(path: Path) -> None:
    """Undo the first rename of an `atomic_folder` that did not reach the second."""
    for old in path.parent.glob(f".{glob.escape(path.name)}.*.old"):
        if not path.exists():
            old.replace(path)


class Lock:
    """A lock by the file `path`: until `release`, or the end of this object or the process, however it dies.

    `BlockingIOError` if another one holds it, any other `OSError` if the disk cannot lock.
    """

    def __init__(self, path: str | Path) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._close = weakref.finalize(self, os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._close()
            raise

    def release(self) -> None:
        """Let another one in."""
        self._close()


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_path(path) as aside:
        aside.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n")
