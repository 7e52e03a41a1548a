"""What all encoders share: an observation to a state of what moves, and the scene it moves in."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

RATE_SCALE = 4.0
"""What changes per environment step are multiplied by, to vary by about one."""


class Encoder(nn.Module, ABC):
    """Pixels `[N, frames * C, H, W]` uint8 to a state in two parts: what moves, and the scene it moves in.

    - What moves, `[N, D]`, begins with the *pose*, `[N, P]`: what the last frame shows by itself. Where the
      encoder sees several frames, how the pose changed from one frame to the next follows, the last
      change first, so that D is `frames * P`; an encoder of clips has one pose of all frames, and D is P. It
      is the part that the world model predicts.
    - The scene, `[N, *scene_shape]`, is a map of the last frame that the world model holds fixed, or None.

    A subclass says what the features of one picture are (`features_of`), which pose they show (`pose`),
    and, where there is one, which scene (`scene_of`).
    """

    pixel_mean: Tensor
    pixel_scale: Tensor

    def __init__(
        self, *, channels: int, frames: int, pose_size: int, scene_shape: tuple[int, int, int]
    ) -> None:
        super().__init__()
        self.channels, self.frames, self.scene_shape = channels, frames, scene_shape
        self.size = pose_size * frames
        self.micro_batches = 1  # parts that pictures are taken in while gradients are wanted

    def standardise_by(self, frames: Tensor) -> None:
        """Take the pixel statistics that inputs are standardised with from a sample `[N, C, H, W]`.

        Where there is no other, the mean picture, and each channel's deviation from it.
        """
        frames = frames.float()
        self.pixel_mean.copy_(frames.mean(0))
        deviation = (frames - self.pixel_mean).square().mean((0, 2, 3)).sqrt()
        self.pixel_scale.copy_(1 / deviation.clamp_min(1.0)[:, None, None])

    @abstractmethod
    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to the features `[N, ...]` that pose and scene are read from."""

    @abstractmethod
    def pose(self, features: Tensor) -> Tensor:
        """The pose `[N, P]` that the features of single pictures show; in single precision."""

    def scene_of(self, features: Tensor) -> Tensor | None:
        """The scene `[N, *scene_shape]` of the last frame, from features `[N, frames, ...]`; None without."""
        return None

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """What moves `[N, D]`, and the scene `[N, *scene_shape]` or None; both fp32."""
        features = self.features(pixels)
        return self.moving(features), self.scene_of(features)

    def features(self, pixels: Tensor) -> Tensor:
        """Pixels `[N, frames * C, H, W]` to the features of each frame, `[N, frames, ...]`."""
        each = pixels.unflatten(1, (self.frames, self.channels)).flatten(0, 1)
        return self._in_parts(each).unflatten(0, (-1, self.frames))

    def _in_parts(self, pixels: Tensor) -> Tensor:
        """The features of pictures; with `micro_batches`, what led to them is not kept but computed again."""
        if self.micro_batches == 1 or not torch.is_grad_enabled():
            return self.features_of(pixels)
        parts = pixels.chunk(self.micro_batches)
        return torch.cat([checkpoint(self.features_of, part, use_reentrant=False) for part in parts])

    def moving(self, features: Tensor) -> Tensor:
        """What moves, `[N, D]`: the pose of the last frame, then how it changed, the last change first."""
        # Single precision, whatever the convolutions have: changes are small differences of poses.
        with torch.autocast(features.device.type, enabled=False):
            each = self.pose(features.flatten(0, 1)).unflatten(0, (-1, self.frames))
        changes = each.diff(dim=1).flip(1)
        return torch.cat([each[:, -1], (RATE_SCALE * changes).flatten(1)], dim=-1)
