"""TensorBoard's event file: byte by byte as the format says, and as TensorBoard reads it."""

import struct
import zlib

import pytest

from telos.training.events import EVENTS, EventFile, _masked_crc


def crc32c(data):
    """Bit by bit, by the polynomial."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def records(path):
    """Length, checksums and data of every record."""
    data, found = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        found.append((data[:8], data[8:12], data[12 : 12 + length], data[12 + length : 16 + length]))
        data = data[16 + length :]
    return found


def test_the_checksum_is_castagnoli_and_masked_as_tensorflow_masks_it():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C; zlib's is another
    assert zlib.crc32(b"123456789") != 0xE3069283
    (found,) = struct.unpack("<I", _masked_crc(b"123456789"))
    rotated = (found - 0xA282EAD8) & 0xFFFFFFFF
    assert (rotated >> 17 | rotated << 15) & 0xFFFFFFFF == 0xE3069283


def test_every_record_is_framed_by_its_length_and_checksums(tmp_path):
    file = EventFile(tmp_path, size=0)
    file.add({"a/loss": 0.5, "a/term": -2.0}, 300)
    version, event = records(tmp_path / EVENTS)
    assert version[2][9:] == b"\x1a\x0dbrain.Event:2"
    for length, first, data, second in (version, event):
        assert (first, second) == (_masked_crc(length), _masked_crc(data))
    value = b"\x0a\x06a/loss\x15" + struct.pack("<f", 0.5)
    assert event[2][9:12] == b"\x10\xac\x02"  # step 300, a varint
    assert b"\x0a" + bytes([len(value)]) + value in event[2]


def test_what_lost_steps_wrote_is_cut_off(tmp_path):
    file = EventFile(tmp_path, size=0)
    file.add({"loss": 1.0}, 1)
    saved = file.size
    file.add({"loss": 2.0}, 2)
    again = EventFile(tmp_path, size=saved)
    assert again.size == saved
    again.add({"loss": 3.0}, 2)
    assert len(records(tmp_path / EVENTS)) == 3


def test_tensorboard_reads_it(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    file = EventFile(tmp_path, size=0)
    for step in (1, 200, 70_000):
        file.add({"a/loss": step / 4, "a/ö": 1.0}, step)
    reader = accumulator.EventAccumulator(str(tmp_path))
    reader.Reload()
    assert reader.Tags()["scalars"] == ["a/loss", "a/ö"]
    found = [(event.step, event.value) for event in reader.Scalars("a/loss")]
    assert found == [(1, 0.25), (200, 50.0), (70_000, 17_500.0)]
    assert reader.Scalars("a/loss")[0].wall_time > 1.7e9
