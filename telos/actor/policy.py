"""The reactive policy: from a state and a goal to a block of actions, without search."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import cell_centres, mlp
from telos.types import ActionSpace

_LOOKS = 4  # points a side of what is looked at around a keypoint, an eighth of half a picture apart
_SHOWN = 8  # channels of the map that are looked at


class ReactivePolicy(nn.Module):
    """Where things are and where they shall be, to the actions that lead there: Mode 1 of LeCun (2022).

    A goal-conditioned inverse model on frozen states, as GC-IDM is (arXiv 2605.08732), but not told how
    much time is left: what it is taught, plans, is on a short way already. What moves is `[B, S, D]`,
    keypoints first, their positions in half pictures times `position_scale`.

    Where there is a scene, it is read once per problem, together with the goal, into a map of the way: the
    same convolution, `steps` times over, so that what is known at the goal spreads round walls (after value
    iteration networks, Tamar et al. 2016, arXiv 1602.02867). Each state then only looks at the map around its
    keypoints. A network that saw glimpses of the scene and a vector of all of it reached half as many goals.
    """

    centre: Tensor
    reach: Tensor
    offsets: Tensor

    def __init__(
        self,
        space: ActionSpace,
        *,
        size: int,
        keypoints: int = 0,
        position_scale: float = 1.0,
        scene_channels: int = 0,
        channels: int = 24,
        steps: int = 16,
        hidden: int = 128,
    ) -> None:
        super().__init__()
        self.keypoints, self.position_scale, self.steps = keypoints, position_scale, steps
        low, high = space.bounds(torch.zeros(()))
        self.register_buffer("centre", (low + high) / 2)
        self.register_buffer("reach", (high - low) / 2)
        patch = cell_centres(_LOOKS, like=low) * _LOOKS / 16
        y, x = torch.meshgrid(patch, patch, indexing="ij")
        self.register_buffer("offsets", torch.stack([x, y], dim=-1).flatten(0, 1))
        self.scene: nn.Conv2d | None = None
        looked = 0
        if scene_channels and keypoints:
            self.scene = nn.Conv2d(scene_channels, channels, 4, stride=2, padding=1)
            self.mark = nn.Conv2d(channels + keypoints, channels, 3, padding=1)
            self.told = nn.Conv2d(channels, channels, 3, padding=1)
            self.spread = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.show = nn.Conv2d(channels, _SHOWN, 1)
            looked = keypoints * _SHOWN * _LOOKS**2
        self.network = mlp([2 * size + looked, hidden, hidden, space.size])

    def view(self, scene: Tensor | None, goal: Tensor) -> Tensor | None:
        """A map `[B, N, h, w]` of the way to goals `[B, D]` in scenes `[B, C, h, w]`; None without scenes."""
        if self.scene is None or scene is None:
            return None
        features = torch.relu(self.scene(scene))
        told = self.told(torch.relu(self.mark(torch.cat([features, self._marks(goal, features)], 1))))
        way = torch.relu(told)
        for _ in range(self.steps - 1):
            way = torch.relu(told + self.spread(way))
        return self.show(way)

    def forward(self, moving: Tensor, goal: Tensor, view: Tensor | None) -> Tensor:
        """Actions `[B, S, size]` at what moves `[B, S, D]`, towards goals `[B, D]`, with `view` of them."""
        known = [moving, goal[:, None] - moving]
        if view is not None:
            points = (self._places(moving)[..., None, :] + self.offsets.to(moving)).flatten(2, 3)
            seen = nn.functional.grid_sample(
                view.to(points.dtype), points, align_corners=False, padding_mode="border"
            )
            known.append(seen.transpose(1, 2).flatten(2))
        return self.centre + self.reach * self.network(torch.cat(known, -1)).to(self.centre.dtype)

    def _places(self, moving: Tensor) -> Tensor:
        """Where the keypoints are, `[..., keypoints, 2]`, from -1 to 1 over the picture."""
        return moving[..., : 2 * self.keypoints].unflatten(-1, (-1, 2)) / self.position_scale

    def _marks(self, goal: Tensor, like: Tensor) -> Tensor:
        """Maps `[B, keypoints, h, w]` of a bump where each keypoint shall be, 0.1 of half a picture wide."""
        x, y = self._places(goal)[..., None].unbind(-2)
        across = (-50 * (x - cell_centres(like.shape[-1], like=goal)).square()).exp()
        down = (-50 * (y - cell_centres(like.shape[-2], like=goal)).square()).exp()
        return (down[..., :, None] * across[..., None, :]).to(like.dtype)
