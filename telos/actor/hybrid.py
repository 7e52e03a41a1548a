"""Sample, then refine: a sampling planner finds the basins, descent their bottoms."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace

import torch

from telos.actor.gradient import refine
from telos.actor.sampling import CEM
from telos.actor.steppers import LBFGS, Stepper
from telos.types import Budget, Plan, Planner, Problem


@dataclass(frozen=True)
class Hybrid:
    """The plan of a sampling planner, and its alternatives, refined by gradient.

    A share of the budget's iterations, and of its seconds, goes to the sampler, at least one iteration; the
    rest goes to descent, which begins with what the sampler found and so is never worse. Rows of both are
    counted alike in `evaluations`; one of descent costs about three.

    Args:
        sampler: whose plan and alternatives are refined.
        stepper: how descent steps.
        share: of the budget for the sampler.
    """

    sampler: Planner = field(default_factory=lambda: CEM(candidates=64, elites=8))
    stepper: Stepper = field(default_factory=LBFGS)
    share: float = 0.4

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ValueError(f"share must be above 0 and below 1; got {self.share}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan."""
        begin, budget = time.monotonic(), problem.budget
        first = min(max(1, round(self.share * budget.iterations)), max(1, budget.iterations - 1))
        seconds = None if budget.seconds is None else self.share * budget.seconds
        rough = self.sampler(replace(problem, budget=Budget(first, seconds)))
        if budget.iterations == first:
            return rough
        left = None if budget.seconds is None else begin + budget.seconds - time.monotonic()
        starts = torch.stack([plan.actions for plan in (rough, *rough.alternatives)], 1)
        rest = replace(problem, budget=Budget(budget.iterations - first, left))
        fine = refine(rest, starts, stepper=self.stepper)
        return replace(
            fine,
            evaluations=rough.evaluations + fine.evaluations,
            trace=torch.cat([rough.trace, fine.trace]),
        )
