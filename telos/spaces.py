"""The actions that are allowed: a box, perhaps inside a norm ball, or one of n; over blocks of steps."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class ActionSpace:
    """Bounds of one environment step's action, and how planning groups steps into blocks.

    A planner decides once per block of `block` environment steps. With `held` it searches over one
    action `[A]` that is repeated for the whole block; otherwise over `block` free actions `[block * A]`.
    `max_norm` bounds the Euclidean norm of each environment step's action as well.

    `ActionSpace.discrete(n)` has n actions instead of bounds. One is written as a one-hot vector, so A = n
    and everything that reads actions reads these as well. Number 0 is the one that counts as doing nothing.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    max_norm: float | None = None
    block: int = 1
    held: bool = True
    one_hot: bool = False  # an action is one of A, and not a point between bounds

    @staticmethod
    def discrete(n: int, *, block: int = 1, held: bool = True) -> ActionSpace:
        """`n` actions, each one-hot: a 1 at its number and 0 elsewhere."""
        if n < 1:
            raise ValueError(f"n must be at least 1, the number of actions; got {n}.")
        return ActionSpace((0.0,) * n, (1.0,) * n, block=block, held=held, one_hot=True)

    def __post_init__(self) -> None:
        if len(self.low) != len(self.high) or not self.low:
            raise ValueError(
                "low and high must have the same length, one number per action dimension; "
                f"got {len(self.low)} and {len(self.high)}."
            )
        if any(not low <= high for low, high in zip(self.low, self.high, strict=True)):
            raise ValueError(f"low must not exceed high; got low={self.low}, high={self.high}.")
        if not np.isfinite([*self.low, *self.high]).all():
            raise ValueError(f"action bounds must be finite; got low={self.low}, high={self.high}.")
        if self.block < 1:
            raise ValueError(f"block must be at least 1; got {self.block}.")
        if self.max_norm is not None and not 0 < self.max_norm < np.inf:
            raise ValueError(f"max_norm must be positive and finite, or None; got {self.max_norm}.")
        if self.max_norm is not None and np.linalg.norm(self._least) > self.max_norm:
            raise ValueError(
                f"max_norm must allow an action between the bounds; got {self.max_norm}, and low={self.low}, "
                f"high={self.high}."
            )
        if self.one_hot and ({*self.low}, {*self.high}, self.max_norm) != ({0}, {1}, None):
            raise ValueError(
                f"one-hot actions have bounds 0 and 1 and no max_norm; got low={self.low}, high={self.high}, "
                f"max_norm={self.max_norm}. Use ActionSpace.discrete(n)."
            )

    @property
    def _least(self) -> tuple[float, ...]:
        """The action between the bounds that is nearest to zero."""
        return tuple(min(max(0.0, low), high) for low, high in zip(self.low, self.high, strict=True))

    @property
    def dimension(self) -> int:
        """A, the length of one environment step's action: for discrete ones how many there are."""
        return len(self.low)

    @property
    def size(self) -> int:
        """The number of values a planner searches over per block."""
        return self.dimension if self.held else self.dimension * self.block

    def within(self, share: float) -> ActionSpace:
        """The same space with bounds drawn in towards its centre, to `share` of their distance from it."""
        if not 0 < share <= 1:
            raise ValueError(f"share must be above 0 and at most 1; got {share}.")
        if share == 1:
            return self
        if self.one_hot:
            raise ValueError(f"share must be 1 for discrete actions, which have no bounds; got {share}.")
        middle = [(low + high) / 2 for low, high in zip(self.low, self.high, strict=True)]
        return replace(
            self,
            low=tuple(centre + share * (low - centre) for centre, low in zip(middle, self.low, strict=True)),
            high=tuple(
                centre + share * (high - centre) for centre, high in zip(middle, self.high, strict=True)
            ),
            max_norm=None if self.max_norm is None else share * self.max_norm,
        )

    def bounds(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """Lower and upper bounds `[size]`, with the device and dtype of `like`."""
        repeats = self.size // self.dimension
        low = torch.tensor(self.low * repeats, device=like.device, dtype=like.dtype)
        high = torch.tensor(self.high * repeats, device=like.device, dtype=like.dtype)
        return low, high

    def centre(self, like: Tensor) -> Tensor:
        """The middle `[size]` of the bounds; for discrete actions the point as near to one as to any other.

        That point, 1/n everywhere, is not allowed itself, no more than a middle outside the norm ball is.
        """
        low, high = self.bounds(like)
        return (low + high) / (self.dimension if self.one_hot else 2)

    def project(self, actions: Tensor) -> Tensor:
        """Allowed actions for any others: `[..., size]` to `[..., size]`, inside the box and the norm ball.

        The nearest in the box, and from there towards the box's point nearest to zero, as far as the norm
        asks. Of discrete actions the one whose value is largest, and of equal ones the first. NaN stays NaN.
        """
        if self.one_hot:
            steps = actions.unflatten(-1, (-1, self.dimension))
            nearest = torch.nn.functional.one_hot(steps.argmax(-1), self.dimension).to(actions.dtype)
            return nearest.where(~steps.isnan().any(-1, keepdim=True), torch.nan).flatten(-2)
        low, high = self.bounds(actions)
        actions = torch.minimum(torch.maximum(actions, low), high)
        if self.max_norm is None:
            return actions
        steps = actions.unflatten(-1, (-1, self.dimension))
        norm = torch.linalg.vector_norm(steps, dim=-1, keepdim=True)
        if not any(self._least):
            return (steps * (self.max_norm / norm.clamp_min(self.max_norm))).flatten(-2)
        least = steps.new_tensor(self._least)
        way = steps - least  # how much of it is within the norm is the root of a quadratic equation
        square = way.square().sum(-1, keepdim=True).clamp_min(torch.finfo(way.dtype).tiny)
        across = (way * least).sum(-1, keepdim=True)
        room = (self.max_norm**2 - least.square().sum()).clamp_min(0)
        share = ((across.square() + square * room).sqrt() - across) / square
        return torch.where(norm > self.max_norm, least + share * way, steps).flatten(-2)

    def expand(self, actions: Tensor) -> Tensor:
        """What the environment executes: `[..., T, size]` to `[..., T * block, A]`."""
        if self.held:
            return actions.repeat_interleave(self.block, dim=-2)
        return actions.unflatten(-1, (self.block, self.dimension)).flatten(-3, -2)

    def flatten(self, actions: Tensor) -> Tensor:
        """What the world model reads: `[..., T, size]` to `[..., T, block * A]`."""
        if self.held:
            return actions.repeat((1,) * (actions.ndim - 1) + (self.block,))
        return actions
