"""How descent steps: Adam, and limited-memory BFGS. Every candidate is a problem of its own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from telos.types import ActionSpace


@dataclass(frozen=True)
class Evaluated:
    """Where descent is, `[B, S, T, size]`, and what was found there."""

    actions: Tensor
    loss: Tensor  # [B, S]
    slope: Tensor  # of the loss, like the actions
    sound: Tensor  # boolean [B, S]: the loss is finite
    space: ActionSpace
    half: Tensor  # [size], half the range of each action value
    part: float  # of the budget that is used
    moved: bool  # the loss is another function than it was before: its multipliers have changed


class Step(Protocol):
    """Where to look next, `[B, S, T, size]`; it need not be inside the action space."""

    def __call__(self, now: Evaluated) -> Tensor:
        """The next actions, given the ones that were just evaluated."""
        ...


class Stepper(Protocol):
    """A way to descend."""

    def begin(self) -> Step:
        """A step function for one search."""
        ...


@dataclass(frozen=True)
class Adam:
    """Adam (arXiv 1412.6980) in units of half the range; its pace falls to zero as half a cosine.

    Squares are forgotten sooner than usual: else the steep slopes of a violation, once left, keep the
    steps small for the rest of the search. A candidate that stops being finite goes back to where it was
    and halves its steps.
    """

    rate: float = 0.1  # the first step, in half ranges
    decay: float = 0.9
    square_decay: float = 0.95

    def begin(self) -> Step:
        """A step function for one search."""
        return _AdamStep(self)


class _AdamStep:
    def __init__(self, settings: Adam) -> None:
        self._settings = settings
        self._finite: Tensor | None = None
        self._size: Tensor | float = settings.rate
        self._mean, self._square, self._count = torch.zeros(()), torch.zeros(()), 0

    def __call__(self, now: Evaluated) -> Tensor:
        settings, sound = self._settings, now.sound[..., None, None]
        before = now.actions if self._finite is None else self._finite
        self._finite = torch.where(sound, now.actions, before)
        size = torch.as_tensor(self._size, dtype=now.actions.dtype, device=now.actions.device)
        self._size = torch.where(sound, size, size / 2)
        slope, self._count = now.slope * now.half, self._count + 1
        self._mean = settings.decay * self._mean.to(slope) + (1 - settings.decay) * slope
        square = (1 - settings.square_decay) * slope.square()
        self._square = settings.square_decay * self._square.to(slope) + square
        mean = self._mean / (1 - settings.decay**self._count)
        square = self._square / (1 - settings.square_decay**self._count)
        pace = self._size * (1 + math.cos(math.pi * now.part)) / 2
        return self._finite - pace * now.half * mean / (square.sqrt() + 1e-8)


@dataclass(frozen=True)
class LBFGS:
    """Limited-memory BFGS (Liu and Nocedal 1989), projected, with one evaluation per iteration.

    A step that does not lower the loss by a share of what the slope promised (Armijo) is not taken: the
    candidate goes back and tries a shorter one in the next iteration, so a line search costs iterations
    and never stops the others. Values at a bound whose slope points outside are left out of the direction,
    as in projected quasi-Newton methods (Bertsekas 1982); what still leaves the space is projected.
    """

    memory: int = 8  # pairs of steps and changes of slope
    rate: float = 0.2  # the largest change of a value in the first step, in half ranges
    shorter: float = 0.3  # what a step is multiplied by that was not taken
    enough: float = 1e-4  # the share of the promised decrease that must come true

    def begin(self) -> Step:
        """A step function for one search."""
        return _LBFGSStep(self)


class _LBFGSStep:
    """Everything is `[B, S, N]` in half ranges, N = T * size."""

    def __init__(self, settings: LBFGS) -> None:
        self._settings = settings
        self._point, self._loss, self._slope = (torch.zeros(()),) * 3  # where it stands
        self._length = torch.zeros(())
        # Pairs of a step and the change of slope it made, newest last, and 1 over their product: 0 for none.
        self._pairs: list[tuple[Tensor, Tensor, Tensor]] = []
        self._begun = False

    def __call__(self, now: Evaluated) -> Tensor:
        half = now.half.clamp_min(1e-12)
        point, slope = (now.actions / half).flatten(2), (now.slope * half).flatten(2)
        if self._begun:
            self._move(point, slope, now)
        else:
            self._point, self._slope = point, slope
            self._loss, self._length = torch.where(now.sound, now.loss, torch.inf), torch.ones_like(now.loss)
            self._begun = True
        low, high = ((bound / half).repeat(now.actions.shape[2]) for bound in now.space.bounds(now.actions))
        outward = (self._point <= low) & (self._slope > 0) | (self._point >= high) & (self._slope < 0)
        free = torch.where(outward, 0, self._slope)
        direction = torch.where(outward, 0, -self._newton(free))
        uphill = (direction * free).sum(-1, keepdim=True) >= 0
        direction = torch.where(uphill, -self._first(free), direction)
        following = self._point + self._length[..., None] * direction
        return (following.unflatten(-1, now.actions.shape[2:]) * half).to(now.actions)

    def _move(self, point: Tensor, slope: Tensor, now: Evaluated) -> None:
        """Take the step where it was worth it, else shorten the next one."""
        step = point - self._point
        promised = (self._slope * step).sum(-1)
        taken = now.sound & ((now.loss <= self._loss + self._settings.enough * promised) | now.moved)
        change = slope - self._slope
        product = (step * change).sum(-1)
        curved = taken & (product > 1e-10 * step.norm(dim=-1) * change.norm(dim=-1))
        weight = torch.where(curved, 1 / product.clamp_min(1e-30), 0)
        self._pairs = [*self._pairs, (step, change, weight)][-self._settings.memory :]
        where = taken[..., None]
        self._point = torch.where(where, point, self._point)
        self._slope = torch.where(where, slope, self._slope)
        self._loss = torch.where(taken, now.loss, self._loss)
        self._length = torch.where(taken, 1.0, self._length * self._settings.shorter)

    def _newton(self, slope: Tensor) -> Tensor:
        """The inverse Hessian, as the pairs know it, times a slope: the two-loop recursion."""
        rest, shares = slope, []
        for step, change, weight in reversed(self._pairs):
            share = weight * (step * rest).sum(-1)
            rest = rest - share[..., None] * change
            shares.append(share)
        scale, known = torch.ones_like(slope[..., :1]), torch.zeros_like(slope[..., :1], dtype=torch.bool)
        for _, change, weight in self._pairs:  # the newest pair that counts sets the scale
            counts = weight[..., None] > 0
            size = change.square().sum(-1, keepdim=True).clamp_min(1e-30)
            scale = torch.where(counts, 1 / (weight[..., None].clamp_min(1e-30) * size), scale)
            known = known | counts
        found = torch.where(known, scale * rest, self._first(slope))
        for (step, change, weight), share in zip(self._pairs, reversed(shares), strict=True):
            back = weight * (change * found).sum(-1)
            found = found + (share - back)[..., None] * step
        return found

    def _first(self, slope: Tensor) -> Tensor:
        """The slope, scaled so that no value changes by more than `rate`."""
        largest = slope.abs().amax(-1, keepdim=True).clamp_min(1e-30)
        return self._settings.rate * slope / largest
