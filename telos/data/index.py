"""The index of an episode store: one line per committed episode, written after its data is on disk."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

from telos.errors import StoreError

INDEX = "index.jsonl"


@dataclass(frozen=True)
class Entry:
    """Where one committed episode lies: `rows` rows from row `offset` of shard `shard`, and its checksums."""

    shard: int
    offset: int
    rows: int  # frames, T+1
    layout: int
    seed: int
    crc: dict[str, int]  # field name to crc32 of the episode's bytes

    def line(self) -> bytes:
        """The line of `index.jsonl`, with a checksum of itself."""
        body = {
            "shard": self.shard,
            "offset": self.offset,
            "rows": self.rows,
            "layout": self.layout,
            "seed": self.seed,
            "crc": self.crc,
        }
        return json.dumps({**body, "line": _crc(body)}, separators=(",", ":")).encode() + b"\n"

    @staticmethod
    def parse(line: bytes) -> Entry:
        """Read one line; `ValueError` if it is not whole."""
        body = json.loads(line)
        if not isinstance(body, dict) or body.pop("line", None) != _crc(body):
            raise ValueError("the line's checksum does not match")
        return Entry(**body)


def _crc(body: dict) -> int:
    return zlib.crc32(json.dumps(body, separators=(",", ":")).encode())


def read_index(path: Path) -> list[Entry]:
    """The committed entries. A line counts once its newline is on disk: a torn last line does not.

    A whole line that cannot be read is a `StoreError`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}). Without it the store's episodes cannot be found: "
            "restore it from a copy, or collect again."
        ) from error
    entries: list[Entry] = []
    for number, line in enumerate(content.split(b"\n")[:-1], start=1):
        try:
            entries.append(Entry.parse(line))
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"{path} is damaged at line {number} ({error}). Restore the file from a copy; or delete "
                f"that line and those after it, which keeps the first {number - 1} episodes."
            ) from error
    return entries
