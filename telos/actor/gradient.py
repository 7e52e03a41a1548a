"""Planning by gradient: Adam through the differentiable rollout, from many starts at once."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.actor.archive import Clock, remember, to_plan
from telos.actor.proposals import Means, Mixture, Proposal, Wander, reach
from telos.actor.ranking import Scored, imagine, score
from telos.actor.search import start
from telos.types import Plan, Problem, Trajectory


@dataclass(frozen=True)
class Gradient:
    """Refine random starts, and the warm start, by gradient. One iteration of the budget is one step."""

    starts: int = 16
    rate: float = 0.1  # Adam's step, in half ranges of the action space; falls to zero over the iterations
    explore: Proposal = field(default_factory=Wander)

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        with torch.no_grad():
            propose = Mixture(((1, Means()), (self.starts - 1, self.explore)))
            starts = propose(start(problem, spread=0.0), self.starts, problem.generator)
        return refine(problem, starts, rate=self.rate)


def refine(
    problem: Problem,
    starts: Tensor,
    *,
    rate: float = 0.1,
    penalty: float = 10.0,
    margin: float = 0.02,
    alternatives: int = 3,
    gap: float = 0.1,
) -> Plan:
    """Improve plans `[B, S, T, size]` by projected Adam; the best one that was scored comes back.

    Ranking, deadline and what is returned are as in `search.search`; if the deadline is past on entry the
    starts are scored once. Guardrails are held by an augmented Lagrangian: with h the positive excess of
    one guardrail summed over steps 1..T in the worst future, a candidate descends energy / scale +
    sum (multiplier h + penalty / 2 h^2), and after each step its multiplier grows by penalty * h; there is
    one per problem, candidate and guardrail. The scale is the problem's mean absolute energy at first.

    Args:
        rate: Adam's first step in half ranges of the action space; falls to zero as half a cosine.
        penalty: how fast multipliers grow, in (scaled) energy per excess.
        margin: how far inside the allowed region to aim, in guardrails' scales, so that what is found is
            not on the wrong side of the border by rounding.
        alternatives, gap: as in `search.search`.

    `Plan.evaluations` counts rows of the forward pass; each has a backward pass, which costs about two.

    Raises:
        ValueError: the rollout, a cost, a guardrail or the aggregate returned a wrong shape.
    """
    clock, late = Clock(problem.budget.seconds), False
    space, steps = problem.level.action_space, problem.budget.iterations
    actions = space.project(starts.detach())
    lagrangian = _Lagrangian(penalty=penalty, margin=margin)
    adam = _Adam(reach(space, actions))
    archive, trace, evaluations = None, [], 0
    for step in range(steps):
        late = clock.late()
        if late and archive is not None:
            break
        last = late or step + 1 == steps
        with torch.set_grad_enabled(not last):
            leaf = actions.detach().requires_grad_(not last)
            trajectory = imagine(problem, leaf)
            scored, excesses = score(problem, trajectory)
            loss = None if last else lagrangian(scored, excesses)
        archive = remember(
            archive, scored.detach(), _detached(trajectory), space=space, count=1 + alternatives, gap=gap
        )
        trace.append(archive.scored.energy[:, 0])
        evaluations += actions.shape[1] * trajectory.states.shape[2] * problem.horizon
        if loss is None:
            break
        (slope,) = torch.autograd.grad(loss.sum(), leaf)
        with torch.no_grad():
            share = rate * (1 + math.cos(math.pi * step / steps)) / 2
            actions = space.project(actions - adam.step(slope.nan_to_num(0, 0, 0), share))
    assert archive is not None
    return to_plan(problem, archive, trace=trace, evaluations=evaluations, late=late)


class _Lagrangian:
    """The augmented Lagrangian `[B, S]` that is descended; each call also updates the multipliers."""

    def __init__(self, *, penalty: float, margin: float) -> None:
        self._penalty, self._margin = penalty, margin
        self._scale: Tensor | None = None  # [B, 1]
        self._multipliers: list[Tensor] = []  # G times [B, S]

    def __call__(self, scored: Scored, excesses: tuple[Tensor, ...]) -> Tensor:
        if self._scale is None:
            size = torch.where(scored.finite, scored.energy.detach().abs(), 0)
            count = scored.finite.sum(1, keepdim=True).clamp_min(1)
            self._scale = (size.sum(1, keepdim=True) / count).clamp_min(1e-12)
            self._multipliers = [torch.zeros_like(size) for _ in excesses]
        loss = scored.energy / self._scale
        for number, excess in enumerate(excesses):
            h = (excess + self._margin).relu().sum(-1).amax(-1)
            loss = loss + self._multipliers[number] * h + self._penalty / 2 * h.square()
            self._multipliers[number] = self._multipliers[number] + self._penalty * h.detach()
        return loss


class _Adam:
    """Adam (arXiv 1412.6980) in units of half the range `[size]`; each value of each candidate on its own."""

    def __init__(self, half: Tensor, *, decay: float = 0.9, square_decay: float = 0.999) -> None:
        self._half, self._decay, self._square_decay = half, decay, square_decay
        self._mean, self._square, self._count = torch.zeros(()), torch.zeros(()), 0

    def step(self, slope: Tensor, rate: float) -> Tensor:
        """How far to go against the gradient `[B, S, T, size]`."""
        slope, self._count = slope * self._half, self._count + 1
        self._mean = self._decay * self._mean.to(slope) + (1 - self._decay) * slope
        self._square = self._square_decay * self._square.to(slope) + (1 - self._square_decay) * slope.square()
        mean = self._mean / (1 - self._decay**self._count)
        square = self._square / (1 - self._square_decay**self._count)
        return rate * self._half * mean / (square.sqrt() + 1e-8)


def _detached(trajectory: Trajectory) -> Trajectory:
    latents = trajectory.latents
    return Trajectory(
        trajectory.states.detach(), trajectory.actions.detach(), None if latents is None else latents.detach()
    )
