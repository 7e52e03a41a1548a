"""A vector of what residual convolutions find in the whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from telos.nn import residual_stack
from telos.perception.encoder import Encoder


@dataclass(frozen=True)
class Residual:
    """Perception by residual convolutions: the settings of a `ResidualEncoder`. As given, EB-JEPA's."""

    size: int = 512  # of the embedding
    widths: tuple[int, ...] = (16, 32, 32)  # channels of each stack; each halves the picture
    blocks: int = 2  # residual blocks per stack

    keypoints: ClassVar[int] = 0
    scene_channels: ClassVar[int] = 0
    clip: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not self.widths or min(self.size, self.blocks, *self.widths) < 1:
            raise ValueError(
                "size, blocks and each of one or more widths must be at least 1; got "
                f"size {self.size}, blocks {self.blocks}, widths {self.widths}."
            )

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what one frame shows of what moves."""
        return self.size

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> ResidualEncoder:
        """A new encoder of frames of this size."""
        return ResidualEncoder(self, channels=channels, image_size=image_size, frames=frames)


class ResidualEncoder(Encoder):
    """Poses of `size` numbers: stacks of residual convolutions, a linear layer, a layer normalisation.

    The large network of IMPALA (arXiv 1802.01561, figure 3) without its recurrence, in the sizes that EB-JEPA
    has for two rooms (arXiv 2602.03604), whose blocks activate their sum instead of what they are given. The
    embedding is normalised, not activated. That does not keep embeddings of different pictures apart:
    variance and covariance terms, or SIGReg, must. There is no scene.
    """

    def __init__(
        self, settings: Residual, *, channels: int, image_size: tuple[int, int], frames: int = 1
    ) -> None:
        super().__init__(channels=channels, frames=frames, pose_size=settings.size, scene_shape=(0, 0, 0))
        self.settings = settings
        self.register_buffer("pixel_mean", torch.full((channels, 1, 1), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels, 1, 1), 1 / 64.0))
        sizes = (channels, *settings.widths)
        self.stacks = nn.Sequential(
            *(
                residual_stack(before, width, blocks=settings.blocks)
                for before, width in zip(sizes, settings.widths, strict=False)
            )
        )
        height, wide = image_size
        for _ in settings.widths:
            height, wide = -(-height // 2), -(-wide // 2)
        self.project = nn.Linear(settings.widths[-1] * height * wide, settings.size)
        self.norm = nn.LayerNorm(settings.size)

    def standardise_by(self, frames: Tensor) -> None:
        """Take each channel's mean and deviation from a sample `[N, C, H, W]`."""
        frames = frames.float()
        deviation, mean = torch.std_mean(frames, (0, 2, 3), correction=0)
        self.pixel_mean.copy_(mean[:, None, None])
        self.pixel_scale.copy_(1 / deviation.clamp_min(1.0)[:, None, None])

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to embeddings before their normalisation, `[N, size]`."""
        pixels = (pixels.to(self.pixel_mean.dtype) - self.pixel_mean) * self.pixel_scale
        return self.project(torch.relu(self.stacks(pixels)).flatten(1))

    def pose(self, features: Tensor) -> Tensor:
        """The embeddings `[N, size]` of single pictures."""
        return self.norm(features.to(self.pixel_mean.dtype))
