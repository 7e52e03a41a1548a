"""Discrete actions: what there is to choose from, and the cross-entropy method over it."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.actor.proposals import Belief, Mixture, Proposal, Wander, WithMeans
from telos.actor.sampling import Fit, Top
from telos.actor.search import search
from telos.types import ActionSpace, Plan, Problem

_MOST = 4096


def choices(space: ActionSpace, like: Tensor) -> Tensor:
    """Every block of discrete actions `[N, size]`, with the device and dtype of `like`; the first one rests.

    Raises:
        ValueError: the actions are not discrete, or there are more than 4,096 such blocks.
    """
    require_discrete(space)
    n, steps = space.dimension, space.size // space.dimension
    if n**steps > _MOST:
        raise ValueError(
            f"a block must have at most {_MOST} choices; got {n} actions at each of {steps} free steps. Hold "
            "one action per block (ActionSpace(held=True)), or use CategoricalCEM."
        )
    numbers = torch.cartesian_prod(*[torch.arange(n, device=like.device)] * steps).reshape(-1, steps)
    return torch.nn.functional.one_hot(numbers, n).to(like.dtype).flatten(1)


def require_discrete(space: ActionSpace) -> None:
    """`ValueError` where actions are not discrete."""
    if not space.one_hot:
        raise ValueError(
            f"this planner needs discrete actions, ActionSpace.discrete(n); got bounds {space.low} to "
            f"{space.high}. telos.actor.planners(space) lists those for a space."
        )


def cells(places: Tensor, side: Tensor) -> Tensor:
    """Numbers `[B, S]` of the cells of a grid, of this `side` `[B, 1, 1]`, that points `[B, S, D]` are in."""
    generator = torch.Generator().manual_seed(0)  # any fixed odd numbers make a hash of a cell
    odd = torch.randint(1 << 62, (places.shape[-1],), generator=generator).to(places.device) | 1
    cell = (places / side.clamp_min(1e-9)).nan_to_num(0, 0, 0).round().to(torch.int64)
    return (cell * odd).sum(-1)


def firsts(key: Tensor, rank: Tensor) -> Tensor:
    """Boolean `[B, S]`: who has the best rank of those with the same key; of equal ones it is the first."""
    order = rank.argsort(dim=1, stable=True)
    order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    key = key.gather(1, order)
    first = torch.ones_like(key, dtype=torch.bool)
    first[:, 1:] = key[:, 1:] != key[:, :-1]
    return torch.empty_like(first).scatter(1, order, first)


@dataclass(frozen=True)
class Categorical:
    """Each step's action for itself, by its share in the believed plans; a part `fresh` of it uniform."""

    fresh: float = 0.05

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`, one-hot."""
        n = belief.space.dimension
        share = belief.mean[:, belief.turns(count)].unflatten(-1, (-1, n))
        share = (1 - self.fresh) * share / share.sum(-1, keepdim=True) + self.fresh / n
        drawn = torch.rand(
            (*share.shape[:-1], 1), generator=generator, device=share.device, dtype=share.dtype
        )
        number = (share.cumsum(-1) <= drawn).sum(-1).clamp_max(n - 1)
        return torch.nn.functional.one_hot(number, n).to(share.dtype).flatten(-2)


@dataclass(frozen=True)
class CategoricalCEM:
    """The cross-entropy method over discrete actions (Rubinstein 1999): refit how often elites take each.

    The belief's mean is a probability of every action at every step. It is refitted to the elites'
    frequencies, smoothed by what it was (`momentum`), and a part `fresh` of what is drawn stays uniform.
    Without a warm start the first candidates are drawn by `explore`, which holds on to actions for a while:
    independent ones cancel out over a long horizon.
    """

    candidates: int = 256
    elites: int = 32
    momentum: float = 0.3
    fresh: float = 0.02
    keep: int = 8  # elites that are weighed again
    explore: Proposal = field(default_factory=Wander)

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where actions are not discrete."""
        require_discrete(problem.level.action_space)
        around = Categorical(self.fresh)
        begin = self.explore if problem.warm_start is None else Mixture(((1, around), (1, self.explore)))
        return search(
            problem,
            propose=WithMeans(around),
            first=WithMeans(begin),
            weigh=Top(self.elites),
            refit=Fit(momentum=self.momentum, spread=False),
            candidates=self.candidates,
            keep=self.keep,
        )
