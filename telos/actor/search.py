"""The one search loop of every sampling planner: propose, weigh, refit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from telos.actor.archive import Clock, remember, to_plan
from telos.actor.proposals import Belief, Proposal, reach
from telos.actor.ranking import Scored, imagine, score
from telos.types import Plan, Problem


@dataclass(frozen=True)
class Elites:
    """The candidates that the belief is refitted to."""

    scored: Scored  # S = E
    weight: Tensor  # [B, E], sums to one; all zero where no candidate was finite


Weigh = Callable[[Scored, Belief], Elites]
"""Choose and weigh candidates, given the belief that they were drawn from."""

Refit = Callable[[Belief, Elites], Belief]
"""Where to look next."""


def search(
    problem: Problem,
    *,
    propose: Proposal,
    weigh: Weigh,
    refit: Refit,
    candidates: int | Callable[[int], int],
    first: Proposal | None = None,
    spread: float = 0.5,
    keep: int = 0,
    alternatives: int = 3,
    gap: float = 0.1,
) -> Plan:
    """Search for the actions of lowest energy among those that hold the guardrails.

    Every candidate is projected into the action space and then scored; what comes back is the best one
    that was scored in any iteration. The same generator state gives the same plan, bit for bit, unless
    the budget has a deadline. The deadline is checked between iterations, and one that is not expected to
    end in time is not begun; the first always runs. If the deadline is past on entry, only the warm start
    (or the centre of the action space) and the alternatives are scored, so that there is something to return.

    Args:
        candidates: S, how many are proposed per iteration, or a function of the iteration's number.
        first: proposes in the first iteration, instead of `propose`.
        spread: the first standard deviation, as a share of half the range.
        keep: how many of the first elites are weighed again in the next iteration, with the energies they
            had: they cost nothing. Where a world model draws latents, that favours lucky ones.
        alternatives: how many other distinct optima the plan carries at most.
        gap: how different those are (see `ranking.distinct`).

    Raises:
        ValueError: the rollout, a cost, a guardrail or the aggregate returned a wrong shape, or the warm
            start has one.
    """
    clock, late = Clock(problem.budget.seconds), False
    archive, elites, trace, evaluations = None, None, [], 0
    with torch.no_grad():
        belief = start(problem, spread=spread)
        space = belief.space
        for iteration in range(problem.budget.iterations):
            late = clock.late()
            if late and archive is not None:
                break
            draw = first if first is not None and iteration == 0 else propose
            count = candidates(iteration) if callable(candidates) else candidates
            if count < 1:
                raise ValueError(f"candidates must be at least 1 in every iteration; got {count}.")
            drawn = belief.mean if late else draw(belief, count, problem.generator)
            trajectory = imagine(problem, space.project(drawn))
            scored, _ = score(problem, trajectory)
            evaluations += drawn.shape[1] * trajectory.states.shape[2] * problem.horizon
            archive = remember(archive, scored, trajectory, space=space, count=1 + alternatives, gap=gap)
            trace.append(archive.scored.energy[:, 0])
            if late:
                break
            pool = scored if elites is None or not keep else elites.scored.first(keep).join(scored)
            elites = weigh(pool, belief)
            belief = refit(belief, elites)
        assert archive is not None
        return to_plan(problem, archive, trace=trace, evaluations=evaluations, late=late)


def start(problem: Problem, *, spread: float) -> Belief:
    """The first belief: around the warm start or the centre of the action space, and the alternatives.

    Where they are NaN the centre stands for them: one such value would make all that is drawn around it NaN.

    Raises:
        ValueError: the warm start or the alternatives have a wrong shape.
    """
    space = problem.level.action_space
    B, T, size = problem.batch, problem.horizon, space.size
    centre = space.centre(problem.state)
    mean = centre.expand(B, 1, T, size)
    if problem.warm_start is not None:
        if problem.warm_start.shape != (B, T, size):
            raise ValueError(
                f"warm_start must have shape [B, T, size] = {[B, T, size]}; got "
                f"{list(problem.warm_start.shape)}. telos.actor.shift makes one from the last plan."
            )
        mean = space.project(problem.warm_start[:, None].to(mean))
    if problem.alternatives is not None:
        shape = problem.alternatives.shape
        if len(shape) != 4 or (shape[0], *shape[2:]) != (B, T, size):
            raise ValueError(
                f"alternatives must have shape [B, N, T, size] = {[B, 'N', T, size]}; got {list(shape)}. "
                "telos.actor.alternatives takes them from the last plan."
            )
        mean = torch.cat([mean, space.project(problem.alternatives.to(mean))], 1)
    mean = torch.where(mean.isnan(), centre, mean)
    return Belief(mean, (spread * reach(space, mean)).expand(mean.shape), space)
