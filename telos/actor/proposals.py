"""Where candidates come from.

A proposal draws `count` candidates per problem from what the search believes so far. It need not stay
inside the action space: the search projects what it draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from telos.actor.noise import Correlation, Knots
from telos.types import ActionSpace


@dataclass(frozen=True)
class Belief:
    """Where good plans are thought to be: around M plans; M = 1 is the one Gaussian of classic CEM."""

    mean: Tensor  # [B, M, T, size]
    std: Tensor  # [B, M, T, size]
    space: ActionSpace

    @property
    def reach(self) -> Tensor:
        """Half the range `[size]` of each action value."""
        return reach(self.space, self.mean)

    def turns(self, count: int) -> Tensor:
        """Which of the M plans each of `count` candidates belongs to: each in turn, `[count]`."""
        return torch.arange(count, device=self.mean.device) % self.mean.shape[1]


Proposal = Callable[[Belief, int, torch.Generator], Tensor]
"""Draw candidates: belief, count and generator to actions `[B, count, T, size]`."""


def reach(space: ActionSpace, like: Tensor) -> Tensor:
    """Half the range `[size]` of each action value, no more than the norm bound."""
    low, high = space.bounds(like)
    half = (high - low) / 2
    return half if space.max_norm is None else half.clamp_max(space.max_norm)


@dataclass(frozen=True)
class Means:
    """The believed plans themselves, so that they are scored: a warm start is never lost."""

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        return belief.mean[:, belief.turns(count)]


@dataclass(frozen=True)
class WithMeans:
    """The believed plans themselves, as many as there is room for, and the rest from another proposal."""

    propose: Proposal

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        means = belief.mean[:, :count]
        rest = count - means.shape[1]
        return torch.cat([means, self.propose(belief, rest, generator)], 1) if rest else means


@dataclass(frozen=True)
class Gaussian:
    """Normal noise around the believed plans; white, or correlated over time."""

    correlation: Correlation | None = None

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        B, _, T, size = belief.mean.shape
        if self.correlation is None:
            noise = _normal((B, count, T, size), belief.mean, generator)
        else:
            mixing = self.correlation(T).to(belief.mean)
            noise = mixing @ _normal((B, count, mixing.shape[1], size), belief.mean, generator)
        turns = belief.turns(count)
        return belief.mean[:, turns] + belief.std[:, turns] * noise


@dataclass(frozen=True)
class Wander:
    """Smooth wandering, mostly at full speed and blind to the belief: noise at knots, wider than the bounds.

    Projection then leaves mostly actions on the bounds whose direction turns smoothly: long paths that
    differ from each other, which find the way round an obstacle. In Rooms it finds the door three times as
    often as `Segments`, ten times in the hardest twentieth of tasks. Each candidate has its own
    standard deviation, uniform up to `gain` half ranges, so that calm ones are among them.
    """

    every: float = 2.5  # blocks between knots
    gain: float = 3.0

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        B, _, T, size = belief.mean.shape
        mixing = Knots(max(2, round(T / self.every) + 1))(T).to(belief.mean)
        noise = _normal((B, count, mixing.shape[1], belief.space.dimension), belief.mean, generator)
        noise = (mixing @ noise).repeat(1, 1, 1, size // belief.space.dimension)
        gain = self.gain * _uniform((B, count, 1, 1), belief.mean, generator)
        return belief.space.centre(belief.mean) + gain * belief.reach * noise


@dataclass(frozen=True)
class Segments:
    """A few constant actions, each held for a random time, blind to the belief.

    A candidate has 1 to `most` segments with uniform change points. `gain` over 1 makes more of them go
    at full speed.
    """

    most: int = 4
    gain: float = 2.0

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        B, _, T, _ = belief.mean.shape
        values = belief.space.centre(belief.mean) + self.gain * pushes(
            belief, (B, count, self.most), generator
        )
        cuts = _uniform((B, count, 1, self.most - 1), belief.mean, generator) * T
        used = _uniform((B, count, 1, 1), belief.mean, generator) * self.most
        cuts = torch.where(torch.arange(1, self.most, device=cuts.device) <= used, cuts, math.inf)
        time = torch.arange(T, device=cuts.device)[:, None]
        number = (time >= cuts).sum(-1)  # the segment of each step, [B, count, T]
        return values.gather(2, number[..., None].expand(-1, -1, -1, values.shape[-1]))


@dataclass(frozen=True)
class Variations:
    """The believed plans, each changed in one way.

    - *redraw*: from a random moment on, `fresh` actions replace the plan;
    - *shift*: at a random moment up to three blocks are left out or held longer; what follows moves;
    - *nudge*, the rest: one random action is added over a random stretch of time. Its size is spread over
      all magnitudes from `finest` to a whole half range, so that no schedule is needed.
    """

    redraw: float = 0.25  # share of candidates
    shift: float = 0.25  # share of candidates
    finest: float = 0.02  # half ranges
    fresh: Proposal = field(default_factory=Wander)

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`."""
        B, _, T, size = belief.mean.shape
        time = torch.arange(T, device=belief.mean.device)
        kind, one, other, scale = _uniform((4, B, count, 1), belief.mean, generator)
        redraw, nudge = kind < self.redraw, kind >= self.redraw + self.shift
        late = time >= one * T

        blocks = torch.where(scale < 0.5, -1, 1) * (1 + (other * 3).long())
        source = (time + torch.where(late & ~redraw & ~nudge, blocks, 0)).clamp(0, T - 1)
        varied = belief.mean[:, belief.turns(count)].gather(2, source[..., None].expand(-1, -1, -1, size))

        during = (time >= (torch.minimum(one, other) * T).floor()) & (time <= torch.maximum(one, other) * T)
        push = pushes(belief, (B, count, 1), generator) * self.finest ** scale[..., None]
        varied = varied + torch.where((during & nudge)[..., None], push, 0)

        fresh = self.fresh(belief, count, generator)
        return torch.where((late & redraw)[..., None], fresh, varied)


@dataclass(frozen=True)
class Mixture:
    """Several proposals side by side: `parts` are (share, proposal); the shares are relative."""

    parts: tuple[tuple[float, Proposal], ...]

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`, in the order of the parts."""
        total = sum(share for share, _ in self.parts)
        ends = accumulate((share for share, _ in self.parts), initial=0.0)
        numbers = [after - before for before, after in pairwise(round(count * end / total) for end in ends)]
        drawn = [
            propose(belief, number, generator)
            for number, (_, propose) in zip(numbers, self.parts, strict=True)
            if number
        ]
        return torch.cat(drawn, 1)


def pushes(belief: Belief, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """Random departures `[*shape, size]` of up to half the range, the same for every step of a block.

    With a norm bound: a uniform direction and a uniform length. Without: uniform over the box.
    """
    space = belief.space
    shape = (*shape, space.dimension)
    if space.max_norm is None:
        push = (2 * _uniform(shape, belief.mean, generator) - 1) * belief.reach[: space.dimension]
    else:
        push = _normal(shape, belief.mean, generator)
        push = push / torch.linalg.vector_norm(push, dim=-1, keepdim=True).clamp_min(1e-12)
        push = push * (space.max_norm * _uniform((*shape[:-1], 1), belief.mean, generator))
    return push.repeat((1,) * (len(shape) - 1) + (space.size // space.dimension,))


def _normal(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=like.device, dtype=like.dtype)


def _uniform(shape: tuple[int, ...], like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.rand(shape, generator=generator, device=like.device, dtype=like.dtype)
