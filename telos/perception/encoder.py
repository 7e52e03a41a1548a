"""Encoders: an observation to a state."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import ResidualConv, SpatialSoftmax, mlp


class ConvEncoder(nn.Module):
    """Pixels `[N, C, H, W]` uint8 to states `[N, D]`: patches and convolutions, read in two ways.

    - The fast part of the state, the last `D - slow_size` dimensions, is read through a spatial softmax,
      which says where things are at sub-pixel precision.
    - The slow part, the first `slow_size` dimensions, is read from profiles: each feature's maximum over
      every row and every column, which say what the scene is made of.

    Each way suits what it reads. A linear map of the whole feature grid learned a thousand layouts by
    heart; profiles carry over to new ones. Read together, the profiles blur the positions. `channels`
    counts frames times colours; H and W must be multiples of 4. On a CPU the patch stem (stride 4) is
    what makes it cheap: no layer works at more than H/4 x W/4.
    """

    pixel_mean: Tensor
    pixel_scale: Tensor

    def __init__(
        self,
        *,
        channels: int,
        image_size: tuple[int, int],
        state_size: int,
        slow_size: int = 0,
        width: int = 32,
        blocks: int = 0,
    ) -> None:
        super().__init__()
        if image_size[0] % 4 or image_size[1] % 4:
            raise ValueError(f"image_size must be multiples of 4; got {image_size}. Resize the frames.")
        self.register_buffer("pixel_mean", torch.full((channels,), 127.5))
        self.register_buffer("pixel_scale", torch.full((channels,), 1 / 64.0))
        self.patches = nn.Conv2d(channels, width, 8, stride=4, padding=2)
        self.body = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            *[ResidualConv(width) for _ in range(blocks)],
            nn.ReLU(),
        )
        self.maps = nn.Conv2d(width, width, 1)
        self.where = SpatialSoftmax(width)
        self.fast = mlp([3 * width, 256, 256, state_size - slow_size])
        lines = image_size[0] // 4 + image_size[1] // 4
        self.slow = mlp([lines * width, 128, 256, slow_size]) if slow_size else None

    def standardise_by(self, mean: Tensor, std: Tensor) -> None:
        """Set the pixel statistics, per channel `[channels]`, that inputs are standardised with."""
        self.pixel_mean.copy_(mean)
        self.pixel_scale.copy_(1 / std.clamp_min(1.0))

    def forward(self, pixels: Tensor) -> Tensor:
        """Encode pixels `[N, C, H, W]` uint8: states `[N, D]`."""
        features = self.body(self._patches(pixels))
        maps = self.maps(features)
        where = self.where(maps)
        fast = self.fast(torch.cat([where.to(maps.dtype), maps.mean((2, 3))], dim=-1))
        if self.slow is None:
            return fast.float()
        rows = nn.functional.max_pool2d(features, (1, features.shape[3]))
        columns = nn.functional.max_pool2d(features, (features.shape[2], 1))
        slow = self.slow(torch.cat([rows.flatten(1), columns.flatten(1)], dim=-1))
        return torch.cat([slow, fast], dim=-1).float()

    def _patches(self, pixels: Tensor) -> Tensor:
        # Standardising is linear, so it is done to the few weights and not to the many pixels.
        weight = self.patches.weight * self.pixel_scale[:, None, None]
        shift = (weight * self.pixel_mean[:, None, None]).sum((1, 2, 3))
        assert self.patches.bias is not None
        bias = self.patches.bias - shift
        half = torch.is_autocast_enabled(pixels.device.type)
        dtype = torch.get_autocast_dtype(pixels.device.type) if half else weight.dtype
        return torch.conv2d(pixels.to(dtype), weight.to(dtype), bias.to(dtype), stride=4, padding=2)
