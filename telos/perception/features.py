"""A vector of learned features of the whole picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from telos.nn import normalised_head
from telos.perception.encoder import Encoder


@dataclass(frozen=True)
class Features:
    """Perception by features of the whole picture: the settings of a `FeatureEncoder`."""

    features: int = 16
    width: int = 8

    keypoints: ClassVar[int] = 0
    scene_channels: ClassVar[int] = 0
    clip: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.features < 1 or self.width < 1:
            raise ValueError(f"features and width must be at least 1; got {self.features} and {self.width}.")

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what one frame shows of what moves."""
        return self.features

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> FeatureEncoder:
        """A new encoder of frames of this size."""
        return FeatureEncoder(
            channels=channels, image_size=image_size, frames=frames, features=self.features, width=self.width
        )


class FeatureEncoder(Encoder):
    """Poses of `features` numbers, each with mean 0 and deviation 1: for a view where all that changes moves.

    Strided convolutions on what differs from the mean picture, a hidden layer, and a batch normalisation
    without scale, which keeps every number from collapsing (as LeWM's projection does, arXiv 2603.19312);
    decorrelation is asked of them in training. There is no scene: what differs between episodes is in
    the pose, or nowhere.
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: tuple[int, int],
        frames: int = 1,
        features: int = 16,
        width: int = 8,
    ) -> None:
        shape = (0, image_size[0] // 2, image_size[1] // 2)
        super().__init__(channels=channels, frames=frames, pose_size=features, scene_shape=shape)
        self.register_buffer("pixel_mean", torch.full((channels, *image_size), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels, 1, 1), 1 / 64.0))
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
        )
        cells = -(-image_size[0] // 8) * -(-image_size[1] // 8)
        self.head = normalised_head(2 * width * cells, 16 * width, features)

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to features `[N, F]` of its eighths, 2 * width of each."""
        return self.body((pixels.to(self.pixel_mean.dtype) - self.pixel_mean) * self.pixel_scale)

    def pose(self, features: Tensor) -> Tensor:
        """The features `[N, features]` of single pictures."""
        return self.head(features.to(self.pixel_mean.dtype))
