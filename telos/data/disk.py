"""The files of an episode store: append and flush, find and cut uncommitted bytes, one writer at a time."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Sequence
from pathlib import Path

from telos.errors import StoreError
from telos.files import Lock

LOCK = "lock"
_SHARD_FILE = re.compile(r"\d{5,}\.\w+(\.\w+)?")


def lock(path: Path) -> Lock:
    """Keep every other writer out of the store `path`. `StoreError` if there is one."""
    try:
        return Lock(path / LOCK)
    except BlockingIOError as error:
        raise StoreError(
            f"{path} is being appended to by another process (or another EpisodeStore of this one). "
            "Wait until it ends, or close() that one; opening without append=True reads it."
        ) from error
    except OSError as error:
        raise StoreError(f"{path} cannot be opened for appending: {error.strerror}.") from error


def is_locked(path: Path) -> bool:
    """Whether a process is appending to the store `path` now."""
    try:
        descriptor = os.open(path / LOCK, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def append_bytes(path: Path, parts: Sequence[memoryview | bytes]) -> None:
    """Write `parts` at the end of the file `path` and flush them to the disk."""
    with path.open("ab", buffering=0) as file:
        for part in parts:
            rest = memoryview(part)
            while rest:
                rest = rest[file.write(rest) :]
        os.fsync(file.fileno())


def uncommitted(folder: Path, committed: dict[str, int]) -> dict[str, int]:
    """Bytes beyond the committed ones, by file name; 0 for an empty shard file that nothing is committed to.

    `StoreError` where a committed file is missing or shorter than what is committed.
    """
    sizes = {file.name: file.stat().st_size for file in folder.iterdir()}
    for name, size in committed.items():
        if sizes.get(name, -1) < size:
            found = f"has {sizes[name]} bytes" if name in sizes else "is missing"
            raise StoreError(
                f"{folder / name} {found}; the index says {size}. "
                "Restore the file from a copy, or collect again."
            )
    return {
        name: size - committed.get(name, 0)
        for name, size in sizes.items()
        if (name in committed and size > committed[name])
        or (name not in committed and _SHARD_FILE.fullmatch(name))
    }


def cut(path: Path, size: int) -> None:
    """Cut the file to `size` bytes; a shard file without any goes."""
    if size == 0 and _SHARD_FILE.fullmatch(path.name):
        path.unlink()
        return
    os.truncate(path, size)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
