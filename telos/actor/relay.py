"""Planners one after another."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch

from telos.actor.warm_start import alternatives
from telos.types import Budget, Plan, Planner, Problem


@dataclass(frozen=True)
class Relay:
    """One planner after another: each begins with what the one before it found.

    The plan is its warm start, and its alternatives are others to begin with. `Relay(((1, CEM()), (1,
    Gradient(starts=4, stepper=LBFGS()))))` samples and then refines the best four ways by gradient.

    `stages` are (share, planner): their shares of the budget's iterations, at least one each, and, if it
    has any, of its seconds; what a stage leaves or overdraws is the next one's. The plan is that of the
    last one, which scores what it begins with like any candidate; its trace is that of all of them.
    """

    stages: tuple[tuple[float, Planner], ...]

    def __post_init__(self) -> None:
        shares = [share for share, _ in self.stages]
        if not shares or not all(0 < share < math.inf for share in shares):
            raise ValueError(f"stages must be at least one (positive share, planner); got shares {shares}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        total, budget, begin = sum(share for share, _ in self.stages), problem.budget, time.monotonic()
        evaluations, trace, end = 0, [], 0.0
        plan: Plan | None = None
        for share, planner in self.stages:
            before, end = end, end + share / total
            iterations = max(1, round(budget.iterations * end) - round(budget.iterations * before))
            left = None if budget.seconds is None else begin + budget.seconds * end - time.monotonic()
            problem = replace(problem, budget=Budget(iterations, left))
            plan = planner(problem)
            problem = replace(problem, warm_start=plan.actions, alternatives=alternatives(plan))
            evaluations += plan.evaluations
            trace.append(plan.trace)
        assert plan is not None
        return replace(plan, evaluations=evaluations, trace=torch.cat(trace))
