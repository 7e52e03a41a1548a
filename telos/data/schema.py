"""What an episode store holds: the schema of its fields, and one episode."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from telos.errors import StoreError
from telos.types import ActionSpace, Reading

FORMAT = "telos-episodes"
VERSION = 1


@dataclass(frozen=True)
class Schema:
    """What every episode of a store has in common.

    `frame_shape` is H, W, C (pixels). `action_space` is that of one environment step (block 1). `source`
    says how the data was made (collect: seed, length, policy, split; import: folder and table).
    """

    frame_shape: tuple[int, int, int]
    action_space: ActionSpace
    readings: Mapping[str, Reading] = field(default_factory=dict)
    world: str = ""
    frame_rate: float | None = None  # frames per second, where known
    source: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.frame_shape) != 3 or min(self.frame_shape) < 1:
            raise ValueError(f"frame_shape must be three positive numbers H, W, C; got {self.frame_shape}.")
        if self.action_space.block != 1:
            raise ValueError(
                "action_space must be that of one environment step, block=1; "
                f"got block={self.action_space.block}."
            )
        for name in self.readings:
            if not name.replace("_", "").isalnum() or not name.isascii():
                raise ValueError(f"a reading's name must be letters, digits and _; got '{name}'.")

    @property
    def frame_bytes(self) -> int:
        """Bytes of one frame."""
        height, width, channels = self.frame_shape
        return height * width * channels

    def fields(self) -> dict[str, tuple[np.dtype, tuple[int, ...]]]:
        """The fields of one row on disk: name to dtype (little-endian) and shape."""
        single = np.dtype("<f4")
        return {
            "frames": (np.dtype("u1"), tuple(self.frame_shape)),
            "actions": (single, (self.action_space.dimension,)),
            **{f"reading.{name}": (single, (reading.size,)) for name, reading in self.readings.items()},
        }

    def to_json(self) -> dict[str, Any]:
        """The content of `schema.json`."""
        space = self.action_space
        return {
            "format": FORMAT,
            "version": VERSION,
            "world": self.world,
            "frame_shape": [int(number) for number in self.frame_shape],
            "frame_rate": self.frame_rate,
            "action": {
                "low": [float(bound) for bound in space.low],
                "high": [float(bound) for bound in space.high],
                "max_norm": None if space.max_norm is None else float(space.max_norm),
                "one_hot": space.one_hot,
            },
            "readings": {
                name: {
                    "size": reading.size,
                    "unit": reading.unit,
                    "low": _bounds_to_json(reading.low),
                    "high": _bounds_to_json(reading.high),
                }
                for name, reading in self.readings.items()
            },
            "source": dict(self.source),
        }

    @staticmethod
    def from_json(value: Any, name: str) -> Schema:
        """Read the content of `schema.json`; `name` is the file's, for the messages of `StoreError`."""
        if not isinstance(value, dict) or value.get("format") != FORMAT:
            raise StoreError(f"{name} does not describe an episode store (no 'format': '{FORMAT}').")
        if value.get("version") != VERSION:
            raise StoreError(
                f"{name} has format version {value.get('version')}; this telos reads version {VERSION}. "
                "Use the telos that wrote it, or collect again."
            )
        try:
            action = value["action"]
            height, width, channels = value["frame_shape"]
            return Schema(
                frame_shape=(height, width, channels),
                action_space=ActionSpace(
                    tuple(action["low"]),
                    tuple(action["high"]),
                    action["max_norm"],
                    one_hot=action.get("one_hot", False),  # stores before there were discrete actions
                ),
                readings={
                    key: Reading(
                        size=reading["size"],
                        unit=reading["unit"],
                        low=_bounds_from_json(reading["low"], -math.inf),
                        high=_bounds_from_json(reading["high"], math.inf),
                    )
                    for key, reading in value["readings"].items()
                },
                world=value["world"],
                frame_rate=value["frame_rate"],
                source=value["source"],
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{name} is damaged ({error!r}). Restore it from a copy, or collect again."
            ) from error


@dataclass(frozen=True)
class Episode:
    """One episode: T+1 frames and the T actions between them.

    `layout` identifies what stays fixed during the episode (-1: unknown); `seed` is what it was reset with.
    """

    frames: np.ndarray  # uint8 [T+1, H, W, C]
    actions: np.ndarray  # float32 [T, A]
    readings: Mapping[str, np.ndarray] = field(default_factory=dict)  # float32 [T+1, k]
    layout: int = -1
    seed: int = 0

    @property
    def steps(self) -> int:
        """T, the number of actions."""
        return len(self.actions)

    def check(self, schema: Schema, what: str) -> None:
        """Raise `StoreError`, naming `what`, where the episode does not fit `schema` or is not finite."""
        if not -(2**63) <= self.layout < 2**63:
            raise StoreError(f"{what}: layout must fit into 64 bits; got {self.layout}.")
        rows = len(self.frames)
        _check(f"{what}: frames", self.frames, np.dtype("u1"), (max(rows, 1), *schema.frame_shape))
        shape = (rows - 1, schema.action_space.dimension)
        _check(f"{what}: actions (one fewer than frames)", self.actions, np.dtype("f4"), shape)
        if schema.action_space.one_hot:
            wrong = (np.sort(self.actions, axis=1) != np.eye(shape[1])[-1]).any(axis=1)
            if wrong.any():
                row = int(wrong.argmax())
                raise StoreError(
                    f"{what}: actions must be one-hot, a single 1 among {shape[1]} numbers; "
                    f"got {self.actions[row].tolist()} at step {row}."
                )
        if set(self.readings) != set(schema.readings):
            raise StoreError(
                f"{what}: readings must be {sorted(schema.readings)}, as the store's schema says; "
                f"got {sorted(self.readings)}."
            )
        for name, reading in schema.readings.items():
            values = self.readings[name]
            _check(f"{what}: reading '{name}'", values, np.dtype("f4"), (rows, reading.size))

    def rows(self) -> dict[str, np.ndarray]:
        """The fields as they lie on disk, all with T+1 rows: the last action is zeros."""
        last = np.zeros((1, self.actions.shape[1]), np.float32)
        return {
            "frames": np.ascontiguousarray(self.frames),
            "actions": np.concatenate([self.actions, last]).astype("<f4"),
            **{
                f"reading.{name}": np.ascontiguousarray(values, "<f4")
                for name, values in self.readings.items()
            },
        }


def _bounds_to_json(bounds: tuple[float, ...] | None) -> list[float | None] | None:
    """JSON has no infinity: an open end becomes null."""
    if bounds is None:
        return None
    return [float(bound) if math.isfinite(bound) else None for bound in bounds]


def _bounds_from_json(bounds: list[float | None] | None, open_end: float) -> tuple[float, ...] | None:
    return None if bounds is None else tuple(open_end if bound is None else bound for bound in bounds)


def _check(what: str, values: np.ndarray, dtype: np.dtype, shape: tuple[int, ...]) -> None:
    if values.dtype != dtype or values.shape != shape:
        raise StoreError(
            f"{what} must be {dtype.name} {list(shape)}; got {values.dtype.name} {list(values.shape)}."
        )
    if dtype.kind == "f" and not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise StoreError(f"{what} must be finite; got {values[row].tolist()} at step {row}.")
