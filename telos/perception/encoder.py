"""Encoders: an observation to a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import SpatialSoftmax

POSITION_SCALE = 2.0
"""What half a picture's width is in a state: positions over a picture then vary by about one."""

SPREAD_SCALE = 20.0
"""What second moments are multiplied by, to vary by about one too."""

RATE_SCALE = 4.0
"""What changes per environment step are multiplied by, to vary by about one."""


class KeypointEncoder(nn.Module):
    """Pixels `[N, frames * C, H, W]` uint8 to a state in two parts: what moves, and the scene it moves in.

    - What moves, `[N, D]`, is where `keypoints` learned features are, by a spatial softmax; with `spread`
      their second moments as well, which tell how a thing lies that is no point (an arm, say); and, where
      the encoder sees several frames, how all of that changed from one frame to the next. It is the part
      that the world model predicts.
    - The scene, `[N, *scene_shape]`, is a feature map of the last frame at half its resolution,
      normalised. The world model holds it fixed and looks at it around the keypoints (a glimpse), so
      that what it learns at one place holds at every other. `None` without `scene_channels`.

    Keypoints begin where features are active at all (a saliency prior): one that begins on the empty
    background has no gradient to leave it. No layer has many channels, which is what makes the encoder
    cheap on a CPU; H and W must be even.
    """

    pixel_mean: Tensor
    pixel_scale: Tensor

    def __init__(
        self,
        *,
        channels: int,
        image_size: tuple[int, int],
        frames: int = 1,
        keypoints: int = 2,
        spread: bool = False,
        scene_channels: int = 2,
        width: int = 8,
    ) -> None:
        super().__init__()
        if image_size[0] % 2 or image_size[1] % 2:
            raise ValueError(f"image_size must be even; got {image_size}. Resize the frames.")
        self.frames, self.channels, self.spread = frames, channels, spread
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
            self.heat.weight.abs_()
        self.where = SpatialSoftmax(keypoints)
        self.size = (5 if spread else 2) * keypoints * frames
        self.scene_shape = (scene_channels, image_size[0] // 2, image_size[1] // 2)
        self.scene = nn.Conv2d(width, scene_channels, 1) if scene_channels else None

    def standardise_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the pixel statistics, per channel `[channels]`, that inputs are standardised with."""
        self.pixel_mean.copy_(mean)
        self.pixel_scale.copy_(1 / std.clamp_min(1.0))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """What moves `[N, D]`, and the scene `[N, *scene_shape]` or None; both fp32."""
        features = self.features(pixels)
        return self.moving(features), self.scene_of(features)

    def features(self, pixels: Tensor) -> Tensor:
        """Pixels `[N, frames * C, H, W]` to feature maps `[N, frames, width, H/2, W/2]`."""
        each = pixels.unflatten(1, (self.frames, self.channels)).flatten(0, 1)
        return self.body(self._standardised(each)).unflatten(0, (-1, self.frames))

    def moving(self, features: Tensor) -> Tensor:
        """What moves, `[N, D]`: positions, spreads, then the steps of both, the last ones first."""
        # Single precision, whatever the convolutions have: half a pixel is 1/64 of a coordinate.
        with torch.autocast(features.device.type, enabled=False):
            maps = self.heat(features.flatten(0, 1).to(self.heat.weight.dtype))
            found = self.where.moments(maps)
        parts = [POSITION_SCALE * found[..., :2]] + [SPREAD_SCALE * found[..., 2:]] * self.spread
        each = torch.cat([part.flatten(1) for part in parts], dim=-1).unflatten(0, (-1, self.frames))
        steps = each.diff(dim=1).flip(1)
        return torch.cat([each[:, -1], (RATE_SCALE * steps).flatten(1)], dim=-1)

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
