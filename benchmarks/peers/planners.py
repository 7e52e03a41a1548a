"""telos' planners on a peer's own model: the same present and energy, and a share of the peer's rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.meter import Memory, cpu_seconds
from telos.actor import CEM, Coloured, Evolution, Gradient, mean
from telos.types import ActionSpace, Budget, Cost, Level, Planner, Problem, Rollout


@dataclass(frozen=True)
class Contest:
    """What a peer's planner was asked, for telos' planners."""

    state: Tensor  # [B, *state], as the peer's model encodes the present
    rollout: Rollout  # imagines with the peer's model
    cost: Cost  # what is searched by
    energy: Callable[[Tensor], Tensor]  # the peer's own energy [B] of plans [B, T, size]
    space: ActionSpace
    horizon: int  # in blocks
    steps: int = 1  # of the peer's predictor per block


@dataclass(frozen=True)
class Entry:
    """A planner and how many iterations it gets."""

    name: str
    planner: Planner
    iterations: int


def entries(*, candidates: int, iterations: int, share: float) -> tuple[Entry, ...]:
    """telos' planners with `share` of a budget of `iterations` times `candidates`.

    Where there is less, there are both fewer candidates and fewer iterations. A row that a gradient goes
    back through counts as three.
    """
    total = candidates * iterations * share
    few = max(16, round(candidates * share**0.5))
    turns = max(1, round(total / few))
    elites = max(4, few // 10)
    starts = 16 if total >= 1600 else 4
    return (
        Entry("evolution", Evolution(), max(1, round(total / 64))),
        Entry("cem", CEM(candidates=few, elites=elites), turns),
        Entry("icem", CEM(candidates=few, elites=elites, correlation=Coloured(2.0), keep=elites), turns),
        Entry("gradient", Gradient(starts=starts), max(1, round(total / (3 * starts)))),
    )


def run(contest: Contest, entry: Entry, *, seed: int) -> dict[str, Any]:
    """What one plan cost and what it is worth."""
    problem = Problem(
        state=contest.state,
        levels=(Level(contest.rollout, contest.space),),
        cost=contest.cost,
        aggregate=mean,
        horizon=contest.horizon,
        generator=torch.Generator().manual_seed(seed),
        budget=Budget(iterations=entry.iterations),
    )
    memory, start = Memory(), cpu_seconds()
    plan = entry.planner(problem)
    used = cpu_seconds() - start
    with torch.no_grad():
        energy = contest.energy(plan.actions)
    return {
        "planner": entry.name,
        "iterations": entry.iterations,
        "cpu_seconds": round(used, 3),
        "rows": plan.evaluations * contest.steps,
        "energy": [round(value, 4) for value in energy.tolist()],
        "peak_rise_mib": memory.result()["peak_rise_mib"],
    }
