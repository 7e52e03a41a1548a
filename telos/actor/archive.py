"""What a planner remembers while it searches, and how it becomes a plan."""

from __future__ import annotations

import time
from dataclasses import dataclass

import torch
from torch import Tensor

from telos.actor.proposals import reach
from telos.actor.ranking import Scored, distinct
from telos.types import ActionSpace, Plan, PlanStatus, Problem, Trajectory


@dataclass(frozen=True)
class Archive:
    """The best distinct candidates that were scored so far, best first, as they were imagined."""

    scored: Scored  # S = N
    trajectory: Trajectory  # S = N


def remember(
    archive: Archive | None,
    scored: Scored,
    trajectory: Trajectory,
    *,
    space: ActionSpace,
    count: int,
    gap: float,
) -> Archive:
    """The archive after some more candidates; `count` and `gap` as in `ranking.distinct`."""
    half = reach(space, scored.actions)
    if archive is None:
        index = distinct(scored, count, gap=gap, reach=half)
        return Archive(scored.take(index), _gather(trajectory, index))
    old, few = archive.scored.rank.shape[1], scored.best(128)
    joined = archive.scored.join(scored.take(few))
    index = distinct(joined, count, gap=gap, reach=half)
    is_old = index < old
    before = _gather(archive.trajectory, index.clamp_max(old - 1))
    now = _gather(trajectory, few.gather(1, (index - old).clamp_min(0)))
    return Archive(joined.take(index), _where(is_old, before, now))


class Clock:
    """Tells whether one more iteration is expected to end before the deadline.

    Call `late` once before each iteration: the longest one so far is what the next is expected to take.
    """

    def __init__(self, seconds: float | None) -> None:
        self._begin = self._last = time.monotonic()
        self._end = None if seconds is None else self._begin + seconds
        self._longest = 0.0

    def late(self) -> bool:
        """Whether to stop now."""
        now = time.monotonic()
        self._longest, self._last = max(self._longest, now - self._last), now
        return self._end is not None and now + self._longest >= self._end

    def final(self) -> bool:
        """Whether no more than one iteration is expected to end in time, after `late` said that one does."""
        return self._end is not None and self._last + 2 * self._longest >= self._end


def to_plan(problem: Problem, archive: Archive, *, trace: list[Tensor], evaluations: int, late: bool) -> Plan:
    """The best of an archive as a plan, and the others as its alternatives."""

    def nth(n: int, others: tuple[Plan, ...]) -> Plan:
        scored, index = archive.scored, torch.tensor([n], device=archive.scored.rank.device)
        one = _gather(archive.trajectory, index.expand(problem.batch, 1))
        return Plan(
            actions=scored.actions[:, n],
            trajectory=one,
            energy=scored.energy[:, n],
            violation=scored.worst[:, n],
            status=_status(scored.finite[:, n].tolist(), scored.feasible[:, n].tolist(), late),
            evaluations=evaluations,
            trace=torch.stack(trace),
            alternatives=others,
        )

    return nth(0, tuple(nth(n, ()) for n in range(1, archive.scored.rank.shape[1])))


def _status(finite: list[bool], feasible: list[bool], late: bool) -> tuple[PlanStatus, ...]:
    in_time = PlanStatus.OUT_OF_TIME if late else PlanStatus.SOLVED
    return tuple(
        PlanStatus.NOT_FINITE if not f else in_time if held else PlanStatus.INFEASIBLE
        for f, held in zip(finite, feasible, strict=True)
    )


def _gather(trajectory: Trajectory, index: Tensor) -> Trajectory:
    """Candidates `[B, N]` of a trajectory."""
    rows = torch.arange(index.shape[0], device=index.device)[:, None]
    latents = trajectory.latents
    return Trajectory(
        trajectory.states[rows, index],
        trajectory.actions[rows, index],
        None if latents is None else latents[rows, index],
    )


def _where(mask: Tensor, one: Trajectory, other: Trajectory) -> Trajectory:
    def choose(a: Tensor, b: Tensor) -> Tensor:
        return torch.where(mask.reshape(*mask.shape, *[1] * (a.ndim - 2)), a, b)

    latents = None
    if one.latents is not None and other.latents is not None:
        latents = choose(one.latents, other.latents)
    return Trajectory(choose(one.states, other.states), choose(one.actions, other.actions), latents)
