"""Planning by gradient: descent through the differentiable rollout, from many starts at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.actor.archive import Clock, remember, to_plan
from telos.actor.proposals import Means, Mixture, Proposal, Wander, reach
from telos.actor.ranking import Scored, imagine, score
from telos.actor.search import start
from telos.actor.steppers import Adam, Evaluated, Stepper
from telos.types import Plan, Problem, Trajectory


@dataclass(frozen=True)
class Gradient:
    """Refine random starts, and the warm start, by gradient. One iteration of the budget is one step.

    `stepper` is `Adam(rate=...)`, or `LBFGS()`, which comes closer to the optimum of a smooth problem.
    """

    starts: int = 16
    stepper: Stepper = field(default_factory=Adam)
    explore: Proposal = field(default_factory=Wander)

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        with torch.no_grad():
            propose = Mixture(((1, Means()), (self.starts - 1, self.explore)))
            starts = propose(start(problem, spread=0.0), self.starts, problem.generator)
        return refine(problem, starts, stepper=self.stepper)


def refine(
    problem: Problem,
    starts: Tensor,
    *,
    stepper: Stepper | None = None,
    penalty: float = 0.1,
    margin: float = 0.02,
    alternatives: int = 3,
    gap: float = 0.1,
) -> Plan:
    """Improve plans `[B, S, T, size]` by projected descent; the best one that was scored comes back.

    Ranking, deadline and what is returned are as in `search.search`; if the deadline is past on entry the
    starts are scored once. A candidate that stops being finite goes back to where it was.

    Guardrails are held by an augmented Lagrangian. With h the positive excess of one guardrail summed over
    steps 1..T in the worst future, a candidate descends energy + sum (multiplier h + penalty / 2 h^2).
    After each step the multiplier, one per problem, candidate and guardrail, grows by penalty * h, or where
    h is 0 falls by penalty times the distance to the border. Energy and h are in units of what they are on
    average over candidates (the energy at first, h at its largest), so that no weight depends on scales.

    Args:
        stepper: how to step; by default `Adam()`.
        penalty: how fast multipliers change.
        margin: how far inside the allowed region to aim, in guardrails' scales, so that what is found is
            not on the wrong side of the border by rounding.
        alternatives, gap: as in `search.search`.

    `Plan.evaluations` counts rows of the forward pass; each has a backward pass, which costs about two.

    Raises:
        ValueError: the rollout, a cost, a guardrail or the aggregate returned a wrong shape, or the actions
            are discrete.
    """
    clock, late = Clock(problem.budget.seconds), False
    space, steps = problem.level.action_space, problem.budget.iterations
    if space.one_hot:  # a small step from a one-hot action is projected back to it
        raise ValueError(
            f"planning by gradient needs actions between bounds; got {space.dimension} discrete ones. "
            "telos.actor.planners(space) lists the planners for a space."
        )
    actions, step_from = space.project(starts.detach()), (stepper or Adam()).begin()
    half = reach(space, actions)
    lagrangian = _Lagrangian(penalty=penalty, margin=margin)
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
            losses = None if last else lagrangian(scored, excesses)
            total = None if losses is None else losses.sum()
        archive = remember(
            archive, scored.detach(), _detached(trajectory), space=space, count=1 + alternatives, gap=gap
        )
        trace.append(archive.scored.energy[:, 0])
        evaluations += actions.shape[1] * trajectory.states.shape[2] * problem.horizon
        if losses is None or total is None:
            break
        (slope,) = torch.autograd.grad(total, leaf)
        now = Evaluated(
            actions,
            losses.detach(),
            slope.nan_to_num(0, 0, 0),
            scored.finite,
            space=space,
            half=half,
            part=step / steps,
            moved=bool(problem.guardrails),
        )
        with torch.no_grad():
            actions = space.project(step_from(now))
    assert archive is not None
    return to_plan(problem, archive, trace=trace, evaluations=evaluations, late=late)


class _Lagrangian:
    """The augmented Lagrangian `[B, S]` that is descended; each call also updates the multipliers."""

    def __init__(self, *, penalty: float, margin: float) -> None:
        self._penalty, self._margin = penalty, margin
        self._energy: Tensor | None = None  # [B, 1]: what an energy typically is
        self._typical: list[Tensor] = []  # G times [B, 1]: what a violation typically is
        self._multipliers: list[Tensor] = []  # G times [B, S]

    def __call__(self, scored: Scored, excesses: tuple[Tensor, ...]) -> Tensor:
        if self._energy is None:
            self._energy = _mean(scored.energy.detach().abs(), scored.finite).clamp_min(1e-12)
            self._typical = [torch.full_like(self._energy, 1e-12) for _ in excesses]
            self._multipliers = [torch.zeros_like(scored.energy) for _ in excesses]
        loss = scored.energy / self._energy
        for number, excess in enumerate(excesses):
            inside = excess + self._margin
            over = inside.relu().sum(-1).amax(-1)
            typical = _mean(over.detach(), scored.finite & (over.detach() > 0))
            self._typical[number] = torch.maximum(self._typical[number], typical)
            h = over / self._typical[number]
            loss = loss + self._multipliers[number] * h + self._penalty / 2 * h.square()
            slack = inside.detach().amax((-2, -1)).clamp_max(0) / self._typical[number]
            change = self._penalty * (h.detach() + slack)  # one of the two is zero
            self._multipliers[number] = (self._multipliers[number] + change).relu()
        return loss


def _mean(values: Tensor, mask: Tensor) -> Tensor:
    """The mean `[B, 1]` of those of `values` `[B, S]` that are in the mask; 0 without any."""
    count = mask.sum(1, keepdim=True).clamp_min(1)
    return torch.where(mask, values, 0).sum(1, keepdim=True) / count


def _detached(trajectory: Trajectory) -> Trajectory:
    latents = trajectory.latents
    return Trajectory(
        trajectory.states.detach(), trajectory.actions.detach(), None if latents is None else latents.detach()
    )
