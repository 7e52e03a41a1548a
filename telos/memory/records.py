"""Records: what was decided in an episode and what it cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from telos.types import Configuration, PlanStatus


@dataclass(frozen=True)
class PlanRecord:
    """One call of a planner, for `problems` of the batch; the tuples are in their order."""

    step: int  # environment steps since the episode's start
    problems: tuple[int, ...]
    configuration: Configuration
    reasons: tuple[str, ...]
    status: tuple[PlanStatus, ...]
    energy: tuple[float, ...]
    violation: tuple[float, ...]  # worst predicted one over guardrails and steps 1..T; -inf without any
    safe: tuple[bool, ...]  # the declared safe action was executed instead of the plan
    leaving: tuple[bool, ...]  # the plan was executed, although it violates, because it leads back
    strayed: tuple[float, ...]  # how far the present is from what the last plan imagined (`Pursuit.strayed`)
    early: tuple[bool, ...]  # planned before its time: the present had left the tube of the last plan
    evaluations: int  # predictor rows per problem
    seconds: float  # CPU time of this process per problem, perception and watching the tube included


@dataclass(frozen=True)
class Usage:
    """What planning cost, averaged over plans: one per problem and planning."""

    plans: int
    evaluations: float  # predictor rows per plan
    seconds: float  # CPU seconds per plan
    safe: int  # how many plans the safe action was executed instead of


def usage(records: Sequence[PlanRecord]) -> Usage:
    """What some plans have cost."""
    counts = [len(record.problems) for record in records]
    plans = sum(counts)
    rows = sum(count * record.evaluations for count, record in zip(counts, records, strict=True))
    seconds = sum(count * record.seconds for count, record in zip(counts, records, strict=True))
    safe = sum(sum(record.safe) for record in records)
    return Usage(plans, rows / max(plans, 1), seconds / max(plans, 1), safe)
