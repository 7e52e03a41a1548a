"""Windows of consecutive frames, from an episode store straight to tensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from telos.data.store import EpisodeStore


@dataclass(frozen=True)
class Batch:
    """B windows of T frames, `stride` environment steps apart."""

    pixels: Tensor  # uint8 [B, T, C, H, W], a view of [B, T, H, W, C]: channels last without a copy
    actions: Tensor  # float32 [B, T-1, stride*A]: the actions between two frames, in the order of time
    readings: Mapping[str, Tensor]  # each float32 [B, T, k]


class Windows:
    """All windows of `length` frames at distance `stride` within the episodes of a store.

    `episodes` are the indices to draw from (all by default); `len()` is the number of windows. Episodes
    appended to the store later are not drawn from. `ValueError` if no episode is long enough.
    """

    def __init__(
        self,
        store: EpisodeStore,
        *,
        length: int,
        stride: int = 1,
        episodes: Sequence[int] | np.ndarray | None = None,
    ) -> None:
        if length < 1 or stride < 1:
            raise ValueError(f"length and stride must be at least 1; got {length} and {stride}.")
        self.store, self.length, self.stride = store, length, stride
        indices = np.arange(len(store)) if episodes is None else np.asarray(episodes, np.int64)
        if ((indices < 0) | (indices >= len(store))).any():
            raise ValueError(
                f"episodes must be in 0..{len(store) - 1}; got {indices.min()}..{indices.max()}."
            )
        span = (length - 1) * stride + 1
        counts = store.lengths[indices] - span + 1
        self._episodes = indices[counts > 0]
        if not len(self._episodes):
            longest = int(store.lengths[indices].max(initial=0))
            raise ValueError(
                f"length and stride ask for {span} frames in a row; the longest of {len(indices)} episodes "
                f"has {longest}. Use a smaller length or stride, or collect longer episodes."
            )
        self._ends = np.cumsum(counts[counts > 0])
        self._first_rows = store.first_rows[self._episodes]
        self._actions = store.table("actions")
        self._readings = {name: store.table(f"reading.{name}") for name in store.schema.readings}

    def __len__(self) -> int:
        """The number of different windows."""
        return int(self._ends[-1])

    def sample(self, batch: int, generator: torch.Generator) -> Batch:
        """`batch` windows, each drawn uniformly from all of them, with replacement."""
        if batch < 1:
            raise ValueError(f"batch must be at least 1; got {batch}.")
        return self.read(torch.randint(len(self), (batch,), generator=generator).numpy())

    def locate(self, windows: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Episode and first step, int64 `[B]` each, of the windows of these numbers in 0..len-1."""
        position, steps = self._locate(np.asarray(windows, np.int64))
        return self._episodes[position], steps

    def read(self, windows: Sequence[int] | np.ndarray) -> Batch:
        """The windows of these numbers, each in 0..len-1. Consecutive numbers are consecutive in time."""
        windows = np.asarray(windows, np.int64)
        position, steps = self._locate(windows)
        store, length, stride = self.store, self.length, self.stride
        pixels = torch.empty((len(windows), length, *store.schema.frame_shape), dtype=torch.uint8)
        store.copy_frames(self._episodes[position], steps, stride, pixels.numpy())
        rows = (self._first_rows[position] + steps)[:, None]
        between = self._actions[rows + np.arange((length - 1) * stride)]
        frames = rows + stride * np.arange(length)
        return Batch(
            pixels=pixels.permute(0, 1, 4, 2, 3),
            actions=torch.from_numpy(between.reshape(len(windows), length - 1, stride * between.shape[-1])),
            readings={name: torch.from_numpy(table[frames]) for name, table in self._readings.items()},
        )

    def _locate(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        if ((windows < 0) | (windows >= len(self))).any():
            raise IndexError(f"windows must be in 0..{len(self) - 1}; got {windows.min()}..{windows.max()}.")
        position = np.searchsorted(self._ends, windows, side="right")
        start = np.where(position > 0, self._ends[position - 1], 0)
        return position, windows - start


@dataclass(frozen=True)
class LabelledFrames:
    """n moments with what the camera saw until then and the readings of that moment."""

    pixels: Tensor  # uint8 [n, T, C, H, W]; the last frame is the moment
    readings: Mapping[str, Tensor]  # each float32 [n, k]


def labelled_frames(
    store: EpisodeStore,
    count: int,
    generator: torch.Generator,
    *,
    frames: int = 1,
    stride: int = 1,
    episodes: Sequence[int] | np.ndarray | None = None,
) -> LabelledFrames:
    """Draw `count` different moments, uniformly, with `frames` frames `stride` steps apart up to each.

    All of them if the episodes hold fewer.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1; got {count}.")
    windows = Windows(store, length=frames, stride=stride, episodes=episodes)
    chosen = torch.randperm(len(windows), generator=generator)[:count]
    batch = windows.read(chosen.numpy())
    return LabelledFrames(batch.pixels, {name: values[:, -1] for name, values in batch.readings.items()})
