"""Where learned features are, and a map of the scene they move in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from telos.nn import SpatialSoftmax
from telos.perception.encoder import Encoder

POSITION_SCALE = 2.0
"""What half a picture's width is in a state: positions over a picture then vary by about one."""


@dataclass(frozen=True)
class Keypoints:
    """Perception by keypoints in a scene: the settings of a `KeypointEncoder`."""

    keypoints: int = 2
    scene_channels: int = 2  # of the map of what stays, which the predictor looks at; 0: there is none
    width: int = 8
    sharpness: float = 1.0  # how many times as large the first heat maps are: above 1 where much distracts

    clip: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.keypoints < 1 or self.width < 1 or self.scene_channels < 0:
            raise ValueError(
                "keypoints and width must be at least 1 and scene_channels at least 0; got "
                f"{self.keypoints}, {self.width} and {self.scene_channels}."
            )
        if not 0 < self.sharpness < math.inf:
            raise ValueError(f"sharpness must be positive and finite; got {self.sharpness}.")

    @property
    def pose_size(self) -> int:
        """P, how many numbers say what one frame shows of what moves."""
        return 2 * self.keypoints

    def build(self, *, channels: int, image_size: tuple[int, int], frames: int) -> KeypointEncoder:
        """A new encoder of frames of this size."""
        return KeypointEncoder(
            channels=channels,
            image_size=image_size,
            frames=frames,
            keypoints=self.keypoints,
            scene_channels=self.scene_channels,
            width=self.width,
            sharpness=self.sharpness,
        )


class KeypointEncoder(Encoder):
    """Poses of `keypoints` learned features, in a scene: for things that move among others that do not.

    - The pose, P = 2 * `keypoints`, is where each feature is, by a spatial softmax.
    - The scene is a feature map of the last frame at half its resolution, normalised. The world model
      looks at it around the keypoints (a glimpse), so that what it learns at one place holds at every
      other. None without `scene_channels`.

    Keypoints begin where features are active at all (a saliency prior): one that begins on the empty
    background has no gradient to leave it. At first their softmax is nearly even, and what they learn from
    faint; with a larger `sharpness` the heat maps are larger, and their mean follows what is seen.
    No layer has many channels, which is what makes the encoder cheap on a CPU; H and W must be even.
    Pixels are standardised per channel.
    """

    def __init__(
        self,
        *,
        channels: int,
        image_size: tuple[int, int],
        frames: int = 1,
        keypoints: int = 2,
        scene_channels: int = 2,
        width: int = 8,
        sharpness: float = 1.0,
    ) -> None:
        if image_size[0] % 2 or image_size[1] % 2:
            raise ValueError(f"image_size must be even; got {image_size}. Resize the frames.")
        shape = (scene_channels, image_size[0] // 2, image_size[1] // 2)
        super().__init__(channels=channels, frames=frames, pose_size=2 * keypoints, scene_shape=shape)
        self.register_buffer("pixel_mean", torch.full((channels,), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels,), 1 / 64.0))
        self.stem = nn.Conv2d(channels, width, 5, stride=2, padding=2)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
        )
        self.heat = nn.Conv2d(width, keypoints, 1, bias=False)
        with torch.no_grad():
            self.heat.weight.abs_().mul_(sharpness)
        self.where = SpatialSoftmax(keypoints)
        self.scene = nn.Conv2d(width, scene_channels, 1) if scene_channels else None

    def standardise_by(self, frames: Tensor) -> None:
        """Take mean and deviation of each channel from a sample `[N, C, H, W]`."""
        frames = frames.float()
        self.pixel_mean.copy_(frames.mean((0, 2, 3)))
        self.pixel_scale.copy_(1 / frames.std((0, 2, 3)).clamp_min(1.0))

    def features_of(self, pixels: Tensor) -> Tensor:
        """Pictures `[N, C, H, W]` to feature maps `[N, width, H/2, W/2]`."""
        return self.body(self._standardised(pixels))

    def pose(self, features: Tensor) -> Tensor:
        """Where the keypoints are, `[N, 2 * keypoints]`."""
        maps = self.heat(features.to(self.heat.weight.dtype))
        return POSITION_SCALE * self.where(maps).flatten(1)

    def scene_of(self, features: Tensor) -> Tensor | None:
        """The scene `[N, *scene_shape]` of the last frame, or None."""
        if self.scene is None:
            return None
        maps = self.scene(features[:, -1]).to(self.pixel_mean.dtype)
        return nn.functional.layer_norm(maps, maps.shape[1:])

    def _standardised(self, pixels: Tensor) -> Tensor:
        """The stem on standardised pixels: done to the few weights and not to the many pixels."""
        weight = self.stem.weight * self.pixel_scale[:, None, None]
        shift = (weight * self.pixel_mean[:, None, None]).sum((1, 2, 3))
        assert self.stem.bias is not None
        bias = self.stem.bias - shift
        half = torch.is_autocast_enabled(pixels.device.type)
        dtype = torch.get_autocast_dtype(pixels.device.type) if half else weight.dtype
        weight = weight.contiguous(memory_format=torch.channels_last)
        return torch.conv2d(pixels.to(dtype), weight.to(dtype), bias.to(dtype), stride=2, padding=2)
