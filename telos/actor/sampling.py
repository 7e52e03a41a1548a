"""The sampling planners: each is a choice of what to propose, how to weigh and what to refit."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch

from telos.actor.noise import Coloured, Correlation, Knots
from telos.actor.proposals import Belief, Gaussian, Mixture, Proposal, Variations, Wander, WithMeans
from telos.actor.ranking import Scored, distinct
from telos.actor.search import Elites, search
from telos.types import Plan, Problem

# How to weigh.


@dataclass(frozen=True)
class Top:
    """The best `count` candidates, equally."""

    count: int

    def __call__(self, scored: Scored, belief: Belief) -> Elites:
        """The elites, best first."""
        return _equal(scored.take(scored.best(self.count)))


@dataclass(frozen=True)
class Distinct:
    """The best `count` candidates that differ from each other by `gap` (see `ranking.distinct`), equally."""

    count: int
    gap: float

    def __call__(self, scored: Scored, belief: Belief) -> Elites:
        """The elites, best first."""
        return _equal(scored.take(distinct(scored, self.count, gap=self.gap, reach=belief.reach)))


@dataclass(frozen=True)
class Softmax:
    """All feasible candidates by exp(-energy / (temperature * spread)); where there are none, by violation.

    These are MPPI's weights (arXiv 1509.01149) with the temperature in standard deviations of what is
    weighed, since a learned energy has no scale of its own.
    """

    temperature: float

    def __call__(self, scored: Scored, belief: Belief) -> Elites:
        """All candidates, with their weights."""
        some = scored.feasible.any(1, keepdim=True)
        counted = torch.where(some, scored.feasible, scored.finite)
        value = torch.where(some, scored.energy, scored.violation)
        number = counted.sum(1, keepdim=True).clamp_min(1)
        mean = torch.where(counted, value, 0).sum(1, keepdim=True) / number
        above = torch.where(counted, value - mean, 0)
        above = above / above.abs().amax(1, keepdim=True).clamp_min(torch.finfo(above.dtype).tiny)
        spread = (above.square().sum(1, keepdim=True) / number).sqrt().clamp_min(1e-12)
        logits = torch.where(counted, -above / (self.temperature * spread), -torch.inf)
        return Elites(scored, logits.softmax(1).nan_to_num(0))


def _equal(chosen: Scored) -> Elites:
    weight = chosen.finite.to(chosen.energy.dtype)
    return Elites(chosen, weight / weight.sum(1, keepdim=True).clamp_min(1))


# What to refit. A problem without any finite candidate keeps its belief.


@dataclass(frozen=True)
class Fit:
    """One Gaussian to the weighted elites.

    `momentum` is how much of the old belief stays; the spread never falls below `floor` half ranges.
    """

    momentum: float = 0.0
    floor: float = 0.01
    spread: bool = True  # without, the spread stays what it was

    def __call__(self, belief: Belief, elites: Elites) -> Belief:
        """The new belief, M = 1."""
        actions = elites.scored.actions
        weight = elites.weight[..., None, None].to(actions)  # an energy may be of another precision
        mean = (weight * actions).sum(1, keepdim=True)
        known = (elites.weight.sum(1) > 0)[:, None, None, None]
        old, spread = belief.mean[:, :1], belief.std[:, :1]
        new = torch.where(known, mean.lerp(old, self.momentum), old)
        if not self.spread:
            return replace(belief, mean=new, std=spread)
        std = (weight * (actions - mean).square()).sum(1, keepdim=True).sqrt()
        std = torch.maximum(std.lerp(spread, self.momentum), self.floor * belief.reach)
        return replace(belief, mean=new, std=torch.where(known, std, spread))


@dataclass(frozen=True)
class Follow:
    """Every elite becomes a plan of its own to look around, so that several basins stay alive."""

    def __call__(self, belief: Belief, elites: Elites) -> Belief:
        """The new belief, M = E."""
        actions = elites.scored.actions
        mean = torch.where((elites.weight > 0)[..., None, None], actions, actions[:, :1])
        known = (elites.weight.sum(1) > 0)[:, None, None, None]
        mean = torch.where(known, mean, belief.mean[:, :1])
        return replace(belief, mean=mean, std=belief.std[:, :1].expand_as(mean))


# The planners.


@dataclass(frozen=True)
class CEM:
    """The cross-entropy method: refit one Gaussian to the best candidates.

    With coloured noise, kept elites and a shrinking number of candidates it is iCEM (arXiv 2008.06389), see
    `icem`. Unlike in the peers' versions the samples stay within bounds, the mean is scored like any
    candidate in every iteration (in iCEM in the last one), and the spread never falls to nothing.
    """

    candidates: int = 256
    elites: int = 32
    momentum: float = 0.0
    spread: float = 0.5  # the first standard deviation, in half ranges
    correlation: Correlation | None = None
    keep: int = 0
    shrink: float = 1.0  # each iteration has so many times fewer candidates, but at least twice the elites

    def __post_init__(self) -> None:
        if not self.shrink >= 1:
            raise ValueError(f"shrink must be at least 1: it divides candidates; got {self.shrink}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        least = min(2 * self.elites, self.candidates)
        return search(
            problem,
            propose=WithMeans(Gaussian(self.correlation)),
            weigh=Top(self.elites),
            refit=Fit(momentum=self.momentum),
            candidates=lambda iteration: max(least, int(self.candidates / self.shrink**iteration)),
            spread=self.spread,
            keep=self.keep,
        )


def icem(candidates: int = 256, *, elites: int = 32, colour: float = 2.0) -> CEM:
    """iCEM (arXiv 2008.06389, algorithm 1) with the settings of its authors, apart from `elites`.

    From one replanning to the next they carry 30 % of the last elites, shifted. Here the plan carries itself
    and its distinct alternatives (`Problem.alternatives`; the agent passes on the plan alone): converged
    elites are nearly one plan. They are among the first candidates, in place of as many samples, and the
    others are drawn around them in turn.
    """
    return CEM(
        candidates,
        elites,
        momentum=0.1,
        correlation=Coloured(colour),
        keep=round(0.3 * elites),
        shrink=1.25,
    )


@dataclass(frozen=True)
class MPPI:
    """Model-predictive path integral control (arXiv 1509.01149): a softmax-weighted mean, fixed noise."""

    candidates: int = 256
    temperature: float = 0.1  # in standard deviations of the energy
    spread: float = 0.5  # the standard deviation, in half ranges
    correlation: Correlation | None = None

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        return search(
            problem,
            propose=WithMeans(Gaussian(self.correlation)),
            weigh=Softmax(self.temperature),
            refit=Fit(spread=False),
            candidates=self.candidates,
            spread=self.spread,
        )


@dataclass(frozen=True)
class Evolution:
    """Keep a few distinct parents, vary each, and add fresh candidates in every iteration.

    For worlds with obstacles, where the mean of several good plans is a bad one. It finds the way round
    with the fewest evaluations and does well with one or two iterations per plan; given many, on a smooth
    problem, CEM and `Gradient` come closer to the optimum. Planning by evolution from a shifted plan is
    rolling-horizon evolution (Perez et al., GECCO 2013); new here are the distinct parents, the variations
    that know about time, and the fresh candidates.
    """

    candidates: int = 64
    parents: int = 2
    fresh: float = 0.25  # share of candidates that owe nothing to the parents
    gap: float = 0.1  # how different parents are, see `ranking.distinct`
    explore: Proposal = field(default_factory=Wander)
    vary: Proposal = field(default_factory=Variations)

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        propose = Mixture(((self.fresh, self.explore), (1 - self.fresh, self.vary)))
        return search(
            problem,
            propose=propose,
            first=WithMeans(self.explore if problem.warm_start is None else propose),
            weigh=Distinct(self.parents, self.gap),
            refit=Follow(),
            candidates=self.candidates,
            keep=self.parents,
            gap=self.gap,
        )


@dataclass(frozen=True)
class PredictiveSampling:
    """Look around the best plan so far with noise at a few knots (arXiv 2212.00541)."""

    candidates: int = 64
    spread: float = 0.25  # the standard deviation, in half ranges
    knots: int = 5

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        around = Gaussian(Knots(self.knots))
        return search(
            problem,
            propose=around,
            first=WithMeans(around),
            weigh=Top(1),
            refit=Fit(spread=False),
            candidates=self.candidates,
            spread=self.spread,
            keep=1,
        )


@dataclass(frozen=True)
class RandomShooting:
    """The best of many candidates that owe nothing to each other."""

    candidates: int = 256
    explore: Proposal = field(default_factory=Wander)

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        return search(
            problem,
            propose=self.explore,
            first=WithMeans(self.explore),
            weigh=Top(1),
            refit=_stay,
            candidates=self.candidates,
        )


def _stay(belief: Belief, elites: Elites) -> Belief:
    return belief
