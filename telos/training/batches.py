"""Windows of a store in the form that training wants: stacked frames at block distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from telos.data import EpisodeStore, Windows


class BlockWindows:
    """Random windows of `horizon` blocks: what perception sees before, between and after them."""

    def __init__(
        self,
        store: EpisodeStore,
        *,
        horizon: int,
        block: int,
        frames: int,
        spacing: int = 1,
        episodes: Sequence[int] | np.ndarray,
    ) -> None:
        self.horizon, self.block, self.frames = horizon, block, frames
        single = frames == 1
        self.reach = (frames - 1) * spacing  # environment steps that perception looks back
        self.spacing = spacing
        length = horizon + 1 if single else horizon * block + self.reach + 1
        self.windows = Windows(store, length=length, stride=block if single else 1, episodes=episodes)

    def sample(
        self, batch: int, generator: torch.Generator, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor]:
        """Pixels `[B, T+1, frames * C, H, W]` uint8 and block actions `[B, T, block * A]`.

        Of the `batch` windows that are drawn only `rows` are read: B of them.
        """
        drawn = self.windows.read(
            torch.randint(len(self.windows), (batch,), generator=generator)[rows].numpy()
        )
        if self.frames == 1:
            return drawn.pixels, drawn.actions
        stacks = drawn.pixels.unfold(1, self.reach + 1, self.block)[..., :: self.spacing]
        pixels = stacks.permute(0, 1, 5, 2, 3, 4).flatten(2, 3)  # of [B, T+1, C, H, W, frames]
        actions = drawn.actions[:, self.reach : self.reach + self.horizon * self.block]
        return pixels, actions.unflatten(1, (self.horizon, self.block)).flatten(2)
