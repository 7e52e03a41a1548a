"""The decoder: a state back to a picture, for looking only; it never trains perception or world model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import ResidualConv


class BroadcastDecoder(nn.Module):
    """States to pictures `[N, C, H, W]`, about 0 to 1: what moves `[N, D]` in its scene `[N, S, H/2, W/2]`.

    The scene lies where it is in the picture; what moves is laid over an H/4 x W/4 grid beside each
    cell's coordinates (a spatial broadcast decoder, Watters et al. 2019, arXiv 1901.07017), which draws
    small things at exact places. With a scene, H and W must be multiples of 4; without one, what is drawn
    beyond the picture is cut off.
    """

    grid: Tensor

    def __init__(
        self,
        *,
        state_size: int,
        channels: int,
        image_size: tuple[int, int],
        scene_channels: int = 0,
        width: int = 32,
    ) -> None:
        super().__init__()
        if scene_channels and (image_size[0] % 4 or image_size[1] % 4):
            raise ValueError(
                f"image_size must be multiples of 4 where there is a scene; got {image_size}. "
                "Resize the frames."
            )
        self.image_size = image_size
        height, wide = -(-image_size[0] // 4), -(-image_size[1] // 4)
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, wide), indexing="ij")
        waves = [torch.ones_like(x), x, y]
        for frequency in (1, 2, 4, 8):
            waves += [f(torch.pi * frequency * axis) for f in (torch.sin, torch.cos) for axis in (x, y)]
        self.register_buffer("grid", torch.stack(waves)[None])
        self.state = nn.Linear(state_size, 2 * width)
        self.mix = nn.Linear(2 * width, width)
        self.place = nn.Conv2d(len(waves), width, 1)
        self.scene = nn.Conv2d(scene_channels, width, 4, stride=2, padding=1) if scene_channels else None
        # A bilinear term lets the state choose a place on the grid.
        self.query = nn.Linear(2 * width, len(waves) * 16)
        self.join = nn.Conv2d(width + 16, width, 3, padding=1)
        self.body = nn.Sequential(ResidualConv(width), ResidualConv(width), nn.ReLU())
        self.draw = nn.Conv2d(width, 16 * channels, 3, padding=1)

    def forward(self, states: Tensor, scene: Tensor | None = None) -> Tensor:
        """Draw states `[N, D]` in scenes `[N, scene_channels, H/2, W/2]`: `[N, C, H, W]`."""
        hidden = torch.relu(self.state(states))
        query = self.query(hidden).unflatten(-1, (16, -1))
        attention = torch.einsum("nqw,whx->nqhx", query, self.grid[0].to(query.dtype))
        features = self.place(self.grid) + self.mix(hidden)[..., None, None]
        if self.scene is not None:
            assert scene is not None
            features = features + self.scene(scene)
        features = torch.relu(features)
        features = self.body(self.join(torch.cat([features, torch.tanh(attention)], dim=1)))
        height, wide = self.image_size
        return nn.functional.pixel_shuffle(self.draw(features), 4)[..., :height, :wide]
