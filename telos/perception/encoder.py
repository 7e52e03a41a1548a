"""Encoders: an observation to a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import ResidualConv, SpatialSoftmax, mlp


class ConvEncoder(nn.Module):
    """Pixels `[N, C, H, W]` uint8 to states `[N, D]`: patches, a few convolutions, read in two ways.

    A spatial softmax says where things are, at sub-pixel precision; a linear map of the coarse
    features says what the scene looks like. `channels` counts frames times colours; H and W must be
    multiples of 8. On a CPU the patch stem (stride 4) is what makes it cheap: no layer works at more
    than H/4 x W/4.
    """

    pixel_mean: Tensor
    pixel_scale: Tensor

    def __init__(
        self, *, channels: int, image_size: tuple[int, int], state_size: int, width: int = 32, blocks: int = 0
    ) -> None:
        super().__init__()
        if image_size[0] % 8 or image_size[1] % 8:
            raise ValueError(f"image_size must be multiples of 8; got {image_size}. Resize the frames.")
        self.register_buffer("pixel_mean", torch.full((channels,), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels,), 1 / 64.0))
        self.patches = nn.Conv2d(channels, width, 8, stride=4, padding=2)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            *[ResidualConv(width) for _ in range(blocks)],
            nn.ReLU(),
        )
        self.where = nn.Sequential(nn.Conv2d(width, 2 * width, 1), SpatialSoftmax(2 * width))
        self.coarse = nn.Sequential(
            nn.Conv2d(width, 2 * width, 4, stride=2, padding=1), nn.ReLU(), nn.Flatten()
        )
        cells = (image_size[0] // 8) * (image_size[1] // 8)
        self.what = nn.Linear(2 * width * cells, 128)
        self.head = mlp([4 * width + 128, 256, state_size])

    def standardise_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the pixel statistics, per channel `[channels]`, that inputs are standardised with."""
        self.pixel_mean.copy_(mean)
        self.pixel_scale.copy_(1 / std.clamp_min(1.0))

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pixels `[N, C, H, W]` uint8: states `[N, D]`."""
        features = self.body(self._patches(pixels))
        where = self.where(features)
        what = torch.relu(self.what(self.coarse(features)))
        return self.head(torch.cat([where.to(what.dtype), what], dim=-1)).float()

    def _patches(self, pixels: Tensor) -> Tensor:
        # Standardising is linear, so it is done to the few weights and not to the many pixels.
        weight = self.patches.weight * self.pixel_scale[:, None, None]
        shift = (weight * self.pixel_mean[:, None, None]).sum((1, 2, 3))
        assert self.patches.bias is not None
        bias = self.patches.bias - shift
        half = torch.is_autocast_enabled(pixels.device.type)
        dtype = torch.get_autocast_dtype(pixels.device.type) if half else weight.dtype
        return torch.conv2d(pixels.to(dtype), weight.to(dtype), bias.to(dtype), stride=4, padding=2)
