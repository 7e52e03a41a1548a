"""Planning by gradient: down through the differentiable rollout, from many starts at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.actor.archive import Archive, Clock, remember, to_plan
from telos.actor.proposals import Proposal, Wander, WithMeans
from telos.actor.ranking import Scored, imagine, score
from telos.actor.search import start
from telos.actor.steppers import Adam, Stepper, slope_of
from telos.types import Plan, Problem, Trajectory


@dataclass(frozen=True)
class Gradient:
    """Refine the warm start, its alternatives and random starts by gradient; an iteration is one step.

    `stepper` says how: `Adam`, which jumps over small bumps, or `LBFGS`, which needs far fewer steps where
    the energy is smooth. After another planner in a `Relay` it refines that one's plan and alternatives.
    """

    starts: int = 16
    stepper: Stepper = field(default_factory=Adam)
    explore: Proposal = field(default_factory=Wander)

    def __post_init__(self) -> None:
        if self.starts < 1:
            raise ValueError(f"starts must be at least 1; got {self.starts}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        with torch.no_grad():
            propose = WithMeans(self.explore)
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
    """Improve plans `[B, S, T, size]` by gradient; the best one that was scored comes back.

    Ranking, deadline and what is returned are as in `search.search`; if the deadline is past on entry the
    starts are scored once. A candidate that stops being finite goes back to where it was.

    Args:
        stepper: how candidates go down; `Adam()` if None.
        penalty, margin: of the guardrails, see `Lagrangian`.
        alternatives, gap: as in `search.search`.

    `Plan.evaluations` counts rows of the forward pass; each has a backward pass, which costs about two.

    Raises:
        ValueError: the rollout, a cost, a guardrail or the aggregate returned a wrong shape, or the energy is
            not differentiable.
    """
    clock, late, steps = Clock(problem.budget.seconds), False, problem.budget.iterations
    if (space := problem.level.action_space).one_hot:  # a small step from a one-hot action is projected back
        raise ValueError(
            f"planning by gradient needs actions between bounds; got {space.dimension} discrete ones. "
            "telos.actor.planners(space) lists the planners for a space."
        )
    lagrangian = Lagrangian(penalty=penalty, margin=margin)
    descent = Descent(problem, starts, lagrangian, alternatives=alternatives, gap=gap)
    descent.walk(stepper or Adam(), steps)
    for step in range(steps):
        late = clock.late()
        if late and step > 0:
            break
        descent.step(last=late or step + 1 == steps)
        if late:
            break
    return descent.plan(late=late)


class Descent:
    """Candidates that go down together, and what was found on the way."""

    def __init__(
        self, problem: Problem, starts: Tensor, lagrangian: Lagrangian, *, alternatives: int, gap: float
    ) -> None:
        self.actions = self._sound = problem.level.action_space.project(starts.detach())
        self.trajectory: Trajectory | None = None  # of the last step, without gradients
        self.trace: list[Tensor] = []
        self.evaluations = 0
        self._problem, self._lagrangian = problem, lagrangian
        self._count, self._gap = 1 + alternatives, gap
        self._archive: Archive | None = None

    def walk(self, stepper: Stepper, steps: int) -> None:
        """Go on by this stepper, which knows nothing yet, from where all is finite."""
        self._walk = stepper(self._problem.level.action_space, self._sound, steps)

    def step(self, *, last: bool = False) -> None:
        """Score all candidates, remember the best, and unless it is the last time move them."""
        problem, tried = self._problem, self.actions
        with torch.set_grad_enabled(not last):
            leaf = tried.detach().requires_grad_(not last)
            trajectory = imagine(problem, leaf)
            scored, excesses = score(problem, trajectory)
        self._remember(scored.detach(), trajectory)
        if last:
            return
        with torch.enable_grad():
            terms = self._lagrangian.terms(scored, excesses)
            with torch.no_grad():
                settled = self._walk.judge(tried, self._lagrangian.loss(terms).to(tried.dtype))
                self._lagrangian.update(terms, settled)
            loss = self._lagrangian.loss(terms).to(tried.dtype)
            (slope,) = slope_of(loss, leaf)
        with torch.no_grad():
            self.actions = self._walk.move(loss.detach(), slope)

    def wait(self) -> None:
        """An iteration in which nothing was scored."""
        self.trace.append(self.trace[-1])

    def plan(self, *, late: bool) -> Plan:
        """The best that was scored."""
        assert self._archive is not None
        return to_plan(
            self._problem, self._archive, trace=self.trace, evaluations=self.evaluations, late=late
        )

    def _remember(self, scored: Scored, trajectory: Trajectory) -> None:
        self.trajectory, space = _detached(trajectory), self._problem.level.action_space
        self._sound = torch.where(scored.finite[..., None, None], scored.actions, self._sound)
        self._archive = remember(
            self._archive, scored, self.trajectory, space=space, count=self._count, gap=self._gap
        )
        self.trace.append(self._archive.scored.energy[:, 0])
        self.evaluations += trajectory.states.shape[:3].numel() // self._problem.batch * self._problem.horizon


@dataclass(frozen=True)
class Terms:
    """What a Lagrangian is made of, differentiable, in units of what is typical."""

    energy: Tensor  # [B, S]
    over: tuple[Tensor, ...]  # G times [B, S]: excess summed over steps, in the worst future; 0 where held
    room: tuple[Tensor, ...]  # G times [B, S]: minus the distance to the border; 0 where violated


class Lagrangian:
    """Guardrails in a descent: each candidate's augmented Lagrangian (Nocedal and Wright, section 17.4).

    With h the positive excess of one guardrail summed over steps 1..T in the worst future, a candidate
    descends energy + sum (multiplier h + penalty / 2 h^2). At an update the multiplier, one per problem,
    candidate and guardrail, grows by penalty * h, or where h is 0 falls by penalty times the distance to the
    border. Energy and h are in units of what they are on average over a problem's candidates, the energy at
    first and h at its largest (no less than ten margins), so that no weight depends on scales. While the unit
    of h still grows, a line search compares losses that differ in it, and may let a step pass.

    Args:
        penalty: how fast multipliers change.
        margin: how far inside the allowed region to aim, in guardrails' scales, so that what is found is
            not on the wrong side of the border by rounding.
    """

    def __init__(self, *, penalty: float, margin: float) -> None:
        self._penalty, self._margin = penalty, margin
        self._energy = torch.zeros(())  # [B, 1]: what an energy typically is
        self._typical: list[Tensor] = []  # G times [B, 1]: what a violation typically is
        self._multipliers: list[Tensor] = []  # G times [B, S]

    def terms(self, scored: Scored, excesses: tuple[Tensor, ...]) -> Terms:
        """The parts of the loss, and what they tell about the units."""
        insides = [excess + self._margin for excess in excesses]
        overs = [inside.relu().sum(-1).amax(-1) for inside in insides]
        if not self._multipliers:
            self._typical = [torch.zeros(()) for _ in excesses]
            self._multipliers = [torch.zeros_like(scored.energy) for _ in excesses]
        energy = _typical(scored.energy.abs(), scored.finite, least=1e-12)
        self._energy = torch.where(self._energy > 0, self._energy.to(energy), energy)
        self._typical = [
            torch.maximum(known.to(energy), _typical(over, scored.finite, least=10 * self._margin))
            for known, over in zip(self._typical, overs, strict=True)
        ]
        return Terms(
            scored.energy / _unit(self._energy),
            tuple(over / _unit(unit) for over, unit in zip(overs, self._typical, strict=True)),
            tuple(
                inside.amax((-2, -1)).clamp_max(0) / _unit(unit)
                for inside, unit in zip(insides, self._typical, strict=True)
            ),
        )

    def loss(self, terms: Terms) -> Tensor:
        """What is descended, `[B, S]`; not finite where a term is not."""
        loss = terms.energy
        for multiplier, h in zip(self._multipliers, terms.over, strict=True):
            loss = loss + multiplier * h + self._penalty / 2 * h.square()
        return loss

    def update(self, terms: Terms, where: Tensor) -> None:
        """New multipliers for some candidates: a boolean `[B, S]`."""
        self._multipliers = [
            torch.where(where, (multiplier + self._penalty * (h + room)).relu(), multiplier)
            for multiplier, h, room in zip(self._multipliers, terms.over, terms.room, strict=True)
        ]


def _typical(values: Tensor, finite: Tensor, *, least: float) -> Tensor:
    """The mean `[B, 1]` of the finite positive `values` `[B, S]`, and at least that; 0 without any."""
    some = finite & (values.detach() > 0)
    total = torch.where(some, values.detach(), 0).sum(1, keepdim=True)
    mean = (total / some.sum(1, keepdim=True).clamp_min(1)).clamp_min(least)
    return torch.where(total > 0, mean, 0)


def _unit(typical: Tensor) -> Tensor:
    return torch.where(typical > 0, typical, 1)


def _detached(trajectory: Trajectory) -> Trajectory:
    latents = trajectory.latents
    return Trajectory(
        trajectory.states.detach(), trajectory.actions.detach(), None if latents is None else latents.detach()
    )
