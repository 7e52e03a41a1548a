"""Scalars for TensorBoard: an event file is written here, so that no run needs the package to have one.

A file is a sequence of TFRecords: length (uint64), masked CRC-32C of it, data, masked CRC-32C of that, all
little-endian (tensorflow/core/lib/io/record_writer.h). Data is an `Event` message of protocol buffers
(tensorflow/core/util/event.proto), of which a few fields are needed.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

EVENTS = "events.out.tfevents.telos"

_DOUBLE, _VARINT, _BYTES, _FLOAT = 1, 0, 2, 5  # wire types


class EventFile:
    """The scalars of a run, in a file that can be cut back to where a save found it."""

    def __init__(self, folder: Path, *, size: int) -> None:
        """Keep the first `size` bytes of the file in `folder`, or begin a new one."""
        self.path = folder / EVENTS
        if size and self.path.exists() and self.path.stat().st_size >= size:
            os.truncate(self.path, size)
        else:
            self.path.write_bytes(_record(_time() + _field(3, b"brain.Event:2")))

    @property
    def size(self) -> int:
        """In bytes."""
        return self.path.stat().st_size

    def add(self, values: Mapping[str, float], step: int) -> None:
        """Append the values of `step`, each under its name."""
        summary = b"".join(_field(1, _field(1, name.encode()) + _float(2, values[name])) for name in values)
        with self.path.open("ab") as file:
            file.write(_record(_time() + _key(2, _VARINT) + _varint(step) + _field(5, summary)))


def _time() -> bytes:
    return _key(1, _DOUBLE) + struct.pack("<d", time.time())


def _float(number: int, value: float) -> bytes:
    return _key(number, _FLOAT) + struct.pack("<f", value)


def _field(number: int, value: bytes) -> bytes:
    return _key(number, _BYTES) + _varint(len(value)) + value


def _key(number: int, wire: int) -> bytes:
    return _varint(number << 3 | wire)


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])


def _record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + _masked_crc(length) + data + _masked_crc(data)


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 0xFF] ^ crc >> 8
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_table() -> list[int]:
    """CRC-32C, by the reversed polynomial of Castagnoli."""
    table = list(range(256))
    for _ in range(8):
        table = [value >> 1 ^ (0x82F63B78 if value & 1 else 0) for value in table]
    return table


_CRC = _crc_table()
