"""The decoder: a state back to a picture, for looking only; it never trains perception or world model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import ResidualConv


class BroadcastDecoder(nn.Module):
    """States `[N, D]` to pictures `[N, C, H, W]`, about 0 to 1.

    The state is laid over an H/4 x W/4 grid beside each cell's coordinates (a spatial broadcast
    decoder, Watters et al. 2019, arXiv 1901.07017), which draws small things at exact places.
    """

    grid: Tensor

    def __init__(
        self, *, state_size: int, channels: int, image_size: tuple[int, int], width: int = 64
    ) -> None:
        super().__init__()
        height, wide = image_size[0] // 4, image_size[1] // 4
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, wide), indexing="ij")
        waves = [torch.ones_like(x), x, y]
        for frequency in (1, 2, 4, 8):
            waves += [f(torch.pi * frequency * axis) for f in (torch.sin, torch.cos) for axis in (x, y)]
        self.register_buffer("grid", torch.stack(waves)[None])
        self.state = nn.Linear(state_size, 2 * width)
        self.mix = nn.Linear(2 * width, width)
        self.place = nn.Conv2d(len(waves), width, 1)
        # A bilinear term lets the state choose a place on the grid.
        self.query = nn.Linear(2 * width, len(waves) * 16)
        self.join = nn.Conv2d(width + 16, width, 3, padding=1)
        self.body = nn.Sequential(ResidualConv(width), ResidualConv(width), nn.ReLU())
        self.draw = nn.Conv2d(width, 16 * channels, 3, padding=1)

    def forward(self, states: Tensor) -> Tensor:
        """Draw states `[N, D]`: `[N, C, H, W]`."""
        hidden = torch.relu(self.state(states))
        query = self.query(hidden).unflatten(-1, (16, -1))
        attention = torch.einsum("nqw,whx->nqhx", query, self.grid[0].to(query.dtype))
        features = torch.relu(self.place(self.grid) + self.mix(hidden)[..., None, None])
        features = self.body(self.join(torch.cat([features, torch.tanh(attention)], dim=1)))
        return nn.functional.pixel_shuffle(self.draw(features), 4)
