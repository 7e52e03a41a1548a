"""Predictors: the next state from a state and a block of actions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from telos.nn import cell_centres, mlp
from telos.perception.encoder import RATE_SCALE
from telos.perception.keypoints import POSITION_SCALE
from telos.types import ActionSpace
from telos.world_model.unroll import unroll


class Predictor(nn.Module, ABC):
    """Imagines what moves after each of a sequence of blocks of actions."""

    action_scale: Tensor  # [A], what actions are multiplied by to vary by about one

    @abstractmethod
    def imagine(self, moving: Tensor, blocks: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, T+1, D]` from `[B, S, D]` on, after blocks `[B, S, T, block * A]`.

        The scene is `[B, C, h, w]`, or None where perception gives none. Step 0 is what it began with.
        """


def action_scale(space: ActionSpace) -> Tensor:
    """The inverse `[A]` of the largest magnitude of each action value."""
    limit = torch.maximum(torch.tensor(space.low).abs(), torch.tensor(space.high).abs())
    return 1 / limit.clamp_min(1e-6)


@dataclass(frozen=True)
class Glimpse:
    """The settings of a `GlimpsePredictor`."""

    points: int = 7  # a side of a glimpse
    span: float = 0.13  # half a glimpse's side, as a share of half the picture's width
    hidden: int = 128
    layers: int = 3

    def __post_init__(self) -> None:
        if self.points < 1 or self.hidden < 1 or self.layers < 1 or not self.span > 0:
            raise ValueError(
                "points, hidden and layers must be at least 1 and span positive; got "
                f"{self.points}, {self.hidden}, {self.layers} and {self.span}."
            )

    def build(
        self, *, size: int, frames: int, space: ActionSpace, keypoints: int, scene_channels: int
    ) -> GlimpsePredictor:
        """A new predictor of what moves, `[D]` with D = `size`, in a world with these actions."""
        return GlimpsePredictor(
            size=size,
            frames=frames,
            action_scale=action_scale(space),
            keypoints=keypoints,
            scene_channels=scene_channels,
            glimpse=self.points,
            span=self.span,
            hidden=self.hidden,
            layers=self.layers,
        )


class GlimpsePredictor(Predictor):
    """What moves, and a block of actions, to what moves one block later, in a scene that stays.

    A block is imagined one environment step at a time. Each step adds a linear and a nonlinear function
    of what moves, the action and a glimpse: a `glimpse` x `glimpse` patch of the scene around each
    keypoint (after Mnih et al. 2014, arXiv 1406.6247), `span` of half the picture wide to each side. So
    an obstacle acts where it is met, and a layout never seen is made of patches that were.
    Both functions begin at zero: at first nothing changes or, where the encoder sees several `frames`
    and a state has velocities, what moves goes on at the velocity that it has.

    What moves is `[B, S, D]` (see `Encoder`; keypoints first, if there is a scene), the scene
    `[B, C, h, w]`, or None without one: S candidates share that of their problem, which is never copied.
    While training, the place of a glimpse has no gradient, since that of a picture looked at is chaotic
    over many steps; at other times it has, so that a plan's energy can be differentiated.
    """

    offsets: Tensor

    def __init__(
        self,
        *,
        size: int,
        frames: int = 1,
        action_scale: Tensor,
        keypoints: int,
        scene_channels: int,
        glimpse: int = 7,
        span: float = 0.13,
        hidden: int = 128,
        layers: int = 3,
    ) -> None:
        super().__init__()
        self.frames = frames
        self.keypoints = keypoints if scene_channels else 0
        self.register_buffer("action_scale", action_scale.clone())
        patch = span * cell_centres(glimpse, like=action_scale) * glimpse / max(glimpse - 1, 1)
        y, x = torch.meshgrid(patch, patch, indexing="ij")
        self.register_buffer("offsets", torch.stack([x, y], dim=-1).flatten(0, 1))
        inputs = size + len(action_scale)
        seen = self.keypoints * scene_channels * glimpse**2
        self.linear = nn.Linear(inputs, size)
        self.network = mlp([inputs + seen, *[hidden] * (layers - 1), size])
        for last in (self.linear, self.network[-1]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def imagine(self, moving: Tensor, blocks: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, T+1, D]`, one block after the other."""
        return unroll(partial(self, scene=scene), moving, blocks)

    def forward(self, moving: Tensor, actions: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, D]` one block of actions `[B, S, block * A]` later, `[B, S, D]`."""
        for action in actions.unflatten(-1, (-1, len(self.action_scale))).unbind(-2):
            moving = self.step(moving, action, scene)
        return moving

    def step(self, moving: Tensor, action: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, D]` one environment step with `action` `[B, S, A]` later, `[B, S, D]`."""
        known = torch.cat([moving, action * self.action_scale], dim=-1)
        seen = known
        if scene is not None and self.keypoints:
            seen = torch.cat([known, self.glimpses(moving, scene)], dim=-1)
        # A tenth: the optimiser's steps are then small beside what moves in one environment step.
        change = self.linear(known) + 0.1 * self.network(seen)
        return self.coast(moving) + change.to(moving.dtype)

    def coast(self, moving: Tensor) -> Tensor:
        """What moves `[..., D]` one environment step later, if its velocity stays."""
        if self.frames == 1:
            return moving
        pose, change = moving.unflatten(-1, (self.frames, -1))[..., :2, :].unbind(-2)
        older = moving.unflatten(-1, (self.frames, -1))[..., 1:-1, :].flatten(-2)
        return torch.cat([pose + change / RATE_SCALE, change, older], dim=-1)

    def glimpses(self, moving: Tensor, scene: Tensor) -> Tensor:
        """The scene around the keypoints, `[B, S, C * keypoints * glimpse^2]`."""
        places = moving[..., : 2 * self.keypoints].unflatten(-1, (-1, 2)) / POSITION_SCALE
        if self.training:
            places = places.detach()
        points = (places[..., None, :] + self.offsets.to(places)).flatten(2, 3)
        found = nn.functional.grid_sample(
            scene.to(points.dtype), points, align_corners=False, padding_mode="border"
        )
        return found.transpose(1, 2).flatten(2)
