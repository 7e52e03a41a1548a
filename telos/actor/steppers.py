"""How a descent goes on: from loss and slope at what was tried to what is tried next.

Every candidate of every problem is a descent of its own, with its own moments, curvature pairs and line
search. They only share rollouts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from telos.actor.proposals import reach
from telos.types import ActionSpace

_BORDER = 1e-6  # in half ranges: as near as this to a bound is on it


class Walk(Protocol):
    """Descents under way; `judge` and `move` are called in turn."""

    def judge(self, tried: Tensor, loss: Tensor) -> Tensor:
        """Take note of the loss `[B, S]` of actions `[B, S, T, size]`; not finite means: go back.

        Boolean `[B, S]`: where the walk has come to a point at which the loss itself may change, as that of
        an augmented Lagrangian does with its multipliers.
        """
        ...

    def move(self, loss: Tensor, slope: Tensor) -> Tensor:
        """What to try next, inside the action space, given the loss as it now is and its slope there."""
        ...


class Stepper(Protocol):
    """Begins walks: from actions `[B, S, T, size]` that are safe to go back to, for so many steps."""

    def __call__(self, space: ActionSpace, starts: Tensor, steps: int) -> Walk:
        """Begin."""
        ...


def slope_of(loss: Tensor, *variables: Tensor) -> tuple[Tensor, ...]:
    """The gradient of the loss `[B, S]` of each candidate; 0 where it is not finite, or does not depend.

    Raises:
        ValueError: the loss does not depend on any variable that can be differentiated.
    """
    if not loss.requires_grad:
        raise ValueError(
            "planning by gradient needs an energy that is differentiable in the actions; this one is not. Is "
            "a rollout or a cost called under torch.no_grad, or made of rounded numbers? The sampling "
            "planners, such as telos.actor.CEM, need no gradient."
        )
    slopes = torch.autograd.grad(loss.sum(), variables, allow_unused=True, materialize_grads=True)
    return tuple(slope.nan_to_num(0, 0, 0) for slope in slopes)


@dataclass(frozen=True)
class Adam:
    """Projected Adam (arXiv 1412.6980), in half ranges of the action space.

    `rate` is the first step; it falls to zero as half a cosine. A candidate whose loss is not finite goes
    back to where it was and halves its steps.
    """

    rate: float = 0.1

    def __call__(self, space: ActionSpace, starts: Tensor, steps: int) -> Walk:
        """Begin."""
        return _AdamWalk(space, starts, steps, self.rate)


class _AdamWalk:
    def __init__(self, space: ActionSpace, starts: Tensor, steps: int, rate: float) -> None:
        self._space, self._sound, self._steps, self._step = space, starts, steps, 0
        self._size = torch.full_like(starts[..., :1, :1], rate)
        self._moments = Moments(reach(space, starts))

    def judge(self, tried: Tensor, loss: Tensor) -> Tensor:
        sound = loss.isfinite()
        keep = sound[..., None, None]
        self._sound = torch.where(keep, tried, self._sound)
        self._size = torch.where(keep, self._size, self._size / 2)
        return sound

    def move(self, loss: Tensor, slope: Tensor) -> Tensor:
        pace = self._size * (1 + math.cos(math.pi * self._step / self._steps)) / 2
        self._step += 1
        return self._space.project(self._sound - pace * self._moments(slope))


class Moments:
    """Adam's running means, in a unit that broadcasts with the slope; each value on its own.

    Squares are forgotten sooner than usual: else the steep slopes of a violation, once left, keep the steps
    small for the rest of the search.
    """

    def __init__(self, unit: Tensor, *, decay: float = 0.9, square_decay: float = 0.95) -> None:
        self._unit, self._decay, self._square_decay = unit, decay, square_decay
        self._mean, self._square, self._count = torch.zeros(()), torch.zeros(()), 0

    def __call__(self, slope: Tensor) -> Tensor:
        """The step to go against, for a rate of 1."""
        slope, self._count = slope * self._unit, self._count + 1
        self._mean = self._decay * self._mean.to(slope) + (1 - self._decay) * slope
        self._square = self._square_decay * self._square.to(slope) + (1 - self._square_decay) * slope.square()
        mean = self._mean / (1 - self._decay**self._count)
        square = self._square / (1 - self._square_decay**self._count)
        return self._unit * mean / (square.sqrt() + 1e-8)


@dataclass(frozen=True)
class LBFGS:
    """Projected L-BFGS with a backtracking line search, for all candidates at once and each by itself.

    A step tries one point per candidate, so one rollout of the batch serves them all: those whose loss fell
    enough (Armijo, along the projected way) go on in a new direction, the others come back to where they were
    and try a shorter step, the least of a parabola through what is known. After `backtracks` of them in a row
    a candidate forgets its curvature, is scored once more where it is, so that multipliers can change, and
    goes straight down the slope, a tenth as far as the last time it did. Directions are those of Nocedal
    (1980; Nocedal and Wright, algorithm 7.4), in half ranges, none longer than one.

    Active bounds, after Bertsekas (1982): a value on its bound whose slope pushes outward is held, and slope
    and curvature pairs are cut to the others, so that the direction goes down along the bounds. A block on
    the norm ball that is pushed outward moves in the tangent plane, and the curvature of the sphere, times
    the multiplier of the norm bound, belongs to the pair. A pair without positive curvature is left out
    (there is no Wolfe condition), and so is one over which multipliers changed.

    Args:
        memory: curvature pairs per candidate.
        first: the largest change of a value in a step without curvature, in half ranges.
        backtracks: how many shorter steps are tried.
        inner: how many steps are taken before multipliers may change.
    """

    memory: int = 8
    first: float = 0.2
    backtracks: int = 6
    inner: int = 3

    def __post_init__(self) -> None:
        if min(self.memory, self.backtracks, self.inner) < 1 or not self.first > 0:
            raise ValueError(
                "memory, backtracks and inner must be at least 1 and first positive; got "
                f"{self.memory}, {self.backtracks}, {self.inner} and {self.first}."
            )

    def __call__(self, space: ActionSpace, starts: Tensor, steps: int) -> Walk:
        """Begin."""
        return _LBFGSWalk(space, starts, self)


class _LBFGSWalk:
    """Points, slopes and ways are `[B, S, N]`, in half ranges; a value that has no range stays as it is."""

    def __init__(self, space: ActionSpace, starts: Tensor, given: LBFGS) -> None:
        self._space, self._given, self._base, self._tried = space, given, starts, starts
        self._half = reach(space, starts).repeat(starts.shape[2])
        none = starts.new_zeros(starts.shape[:2])
        self._loss = self._judged = none + torch.inf  # at the base, and of what was tried
        self._moved, self._taken = none > 0, none  # from the base to what was tried; how often
        self._given_up = none > 0  # and so at the base again
        self._slope = self._way = torch.zeros_like(starts.flatten(2))
        self._stride, self._misses = none + 1, none  # share of the way that is tried; misses in a row
        self._first = none + given.first
        self._steps = self._bends = self._slope.expand(given.memory, *self._slope.shape)  # the pairs

    def judge(self, tried: Tensor, loss: Tensor) -> Tensor:
        self._tried, self._judged = tried, loss
        gone = (self._slope * self._units(tried - self._base)).sum(-1)
        slack = 4 * torch.finfo(loss.dtype).eps * loss.abs()  # what rounding may do
        fallen = loss <= self._loss + 1e-4 * gone.clamp_max(0) + slack
        self._moved = loss.isfinite() & (fallen | ~self._loss.isfinite())
        self._taken = self._taken + self._moved
        return self._moved & (self._given_up | (self._taken % self._given.inner == 0))

    def move(self, loss: Tensor, slope: Tensor) -> Tensor:
        moved = self._moved[..., None]
        step, before = self._units(self._tried - self._base), self._slope
        self._base = torch.where(moved[..., None], self._tried, self._base)
        self._slope = torch.where(moved, slope.flatten(2) * self._half, before)
        borders = Borders(self._space, self._base, self._slope, self._half)
        known = self._moved & self._loss.isfinite() & (loss == self._judged)
        self._remember(step, self._slope - before + borders.curvature * step, known)
        self._turn(borders)
        self._loss = torch.where(self._moved, loss, self._loss)
        ahead = (self._stride[..., None] * self._way * self._half).unflatten(-1, self._base.shape[2:])
        return self._space.project(self._base + ahead)

    def _remember(self, step: Tensor, bend: Tensor, known: Tensor) -> None:
        """One more pair, and the oldest is forgotten, where it is known and its curvature positive."""
        lengths = torch.linalg.vector_norm(step, dim=-1) * torch.linalg.vector_norm(bend, dim=-1)
        known = (known & ((step * bend).sum(-1) > 1e-8 * lengths))[..., None]
        self._steps = torch.where(known, torch.cat([self._steps[1:], step[None]]), self._steps)
        self._bends = torch.where(known, torch.cat([self._bends[1:], bend[None]]), self._bends)

    def _turn(self, borders: Borders) -> None:
        """A new way from where it moved; else a shorter stride on the old one, or none if given up."""
        fall, rise = (self._slope * self._way).sum(-1), self._judged - self._loss
        least = -fall / (2 * (rise / self._stride - fall))  # share of the stride to the parabola's least
        shorter = self._stride * least.nan_to_num(0, 0, 0).clamp(0.1, 0.5)
        self._first = torch.where(self._moved & ~self._given_up, self._given.first, self._first)
        self._misses = torch.where(self._moved, 0, self._misses + 1)
        self._given_up = self._misses > self._given.backtracks
        self._misses = torch.where(self._given_up, 0, self._misses)
        self._first = torch.where(self._given_up, 0.1 * self._first, self._first)
        self._steps = torch.where(self._given_up[..., None], 0, self._steps)
        self._stride = torch.where(self._moved, 1, shorter)
        way = torch.where(self._given_up[..., None], 0, self._way)
        self._way = torch.where(self._moved[..., None], self._direction(borders), way)

    def _direction(self, borders: Borders) -> Tensor:
        """The two loops of L-BFGS, within the borders: the way down."""
        slope = borders.along(self._slope)
        steps, bends = borders.along(self._steps), borders.along(self._bends)
        product = (steps * bends).sum(-1, keepdim=True)  # [memory, B, S, 1]
        good = product > 1e-12 * bends.square().sum(-1, keepdim=True)
        inverse = torch.where(good, 1 / product, 0)
        ahead, shares = slope, []
        for step, bend, weight in zip(steps.flip(0), bends.flip(0), inverse.flip(0), strict=True):
            shares.append(weight * (step * ahead).sum(-1, keepdim=True))
            ahead = ahead - shares[-1] * bend
        plain = self._first[..., None] / slope.abs().amax(-1, keepdim=True).clamp_min(1e-30)
        scale = plain
        for held, curved in zip(good, product / bends.square().sum(-1, keepdim=True), strict=True):
            scale = torch.where(held, curved, scale)  # that of the newest pair is left
        ahead = scale * ahead
        for step, bend, weight, share in zip(steps, bends, inverse, reversed(shares), strict=True):
            ahead = ahead + (share - weight * (bend * ahead).sum(-1, keepdim=True)) * step
        down = (ahead * slope).sum(-1, keepdim=True) > 0
        way = -torch.where(down, ahead, plain * slope)
        return way / way.abs().amax(-1, keepdim=True).clamp_min(1)

    def _units(self, change: Tensor) -> Tensor:
        """A change of actions `[B, S, T, size]` in half ranges `[B, S, N]`."""
        return torch.where(self._half > 0, change.flatten(2) / self._half.clamp_min(1e-30), 0)


class Borders:
    """The bounds that hold points `[B, S, T, size]` back, given their slopes `[B, S, N]` in half ranges."""

    curvature: Tensor
    """`[B, S, N]`: that of the norm balls, times their multipliers; it adds to the energy's own."""

    def __init__(self, space: ActionSpace, points: Tensor, slope: Tensor, half: Tensor) -> None:
        low, high = (bound.repeat(points.shape[2]) for bound in space.bounds(points))
        points, near = points.flatten(2), _BORDER * half
        self._dimension, normal = space.dimension, torch.zeros_like(slope)
        if space.max_norm is not None:
            length = torch.linalg.vector_norm(self._blocks(points), dim=-1, keepdim=True)
            on_ball = (length >= (1 - _BORDER) * space.max_norm).expand_as(self._blocks(points)).flatten(-2)
            normal = torch.where(on_ball, points * half, 0)
        along = slope - self._pushed(slope, normal)[1]  # a value is held if it would go outward on the ball
        outward = ((points <= low + near) & (along > 0)) | ((points >= high - near) & (along < 0))
        self._free = (~outward).to(slope.dtype)
        self._normal, _ = self._pushed(slope, normal * self._free)
        pressure = -(self._blocks(slope) * self._blocks(self._normal)).sum(-1, keepdim=True)
        radius = self._blocks(self._normal * points * half).sum(-1, keepdim=True)
        multiplier = torch.where(radius > 0, pressure / radius.clamp_min(1e-30), 0)
        self.curvature = multiplier.expand_as(self._blocks(slope)).flatten(-2) * half.square()

    def along(self, vectors: Tensor) -> Tensor:
        """What of vectors `[..., B, S, N]` does not leave through the borders."""
        vectors = vectors * self._free
        across = (self._blocks(vectors) * self._blocks(self._normal)).sum(-1, keepdim=True)
        return vectors - (across * self._blocks(self._normal)).flatten(-2)

    def _pushed(self, slope: Tensor, normal: Tensor) -> tuple[Tensor, Tensor]:
        """Unit normals of the blocks that are pushed outward, 0 for others, and what pushes them."""
        length = torch.linalg.vector_norm(self._blocks(normal), dim=-1, keepdim=True)
        unit = self._blocks(normal) / length.clamp_min(1e-30)
        across = (self._blocks(slope) * unit).sum(-1, keepdim=True)
        unit = torch.where(across < 0, unit, 0)
        return unit.flatten(-2), (across * unit).flatten(-2)

    def _blocks(self, vectors: Tensor) -> Tensor:
        return vectors.unflatten(-1, (-1, self._dimension))
