"""The judge: whether a plan may be executed. The last word, whatever planner, cost and configurator say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from telos.actor.ranking import imagine, score
from telos.cost import Effort
from telos.types import ActionSpace, Plan, PlanStatus, Problem, Trajectory

ROUNDING = 1e-4
"""What may be rounding, since a planner scores the same states in a batch of another shape: a violation by
this share of a guardrail's scale, or of the farthest that the plan is from its border, whichever is less."""


def allowed(safe_action: Sequence[float] | Tensor | None, space: ActionSpace) -> Tensor:
    """The safe action of one step `[A]`: the allowed one nearest to zero where none is given.

    Raises:
        ValueError: it is not inside the action space.
    """
    step = replace(space, block=1)
    zeros = torch.zeros(step.dimension)
    if safe_action is None:
        return step.project(zeros)
    action = torch.as_tensor(safe_action).to(zeros, copy=True)
    if action.shape != zeros.shape or not torch.allclose(step.project(action), action):
        raise ValueError(
            f"safe_action must be {step.dimension} numbers inside the action space (low {step.low}, high "
            f"{step.high}, max_norm {step.max_norm}); got {action.tolist()}."
        )
    return action


@dataclass(frozen=True)
class Verdict:
    """What the agent makes of plans for P problems."""

    violation: Tensor  # [P]: the worst predicted one; -inf without guardrails
    safe: Tensor  # bool [P]: the safe action is done instead
    leaving: Tensor  # bool [P]: the plan violates, but less than the safe action would
    trajectory: Trajectory  # what the plan's actions lead to, S = 1
    evaluations: int


def judge(problem: Problem, plan: Plan, *, own: int, beyond: Tensor, rest: Tensor) -> Verdict:
    """Which plans may be executed.

    With guardrails each plan is imagined anew from `problem.state`, as it will be executed, and only the
    guardrails are asked: neither what the planner shows nor what a cost does to a trajectory counts. A plan
    that leaves violates less in total than resting, buffers included, and of the first `own` guardrails no
    more: those of a task are no reason to break the agent's. And it truly violates none, its buffer aside,
    that resting would not: to be in a buffer is no reason to cross a zone.

    Args:
        own: how many of the guardrails are the agent's; the others are the task's.
        beyond: boolean `[P]`, whether the present violates a guardrail or its buffer.
        rest: one block of the safe action, `[size]`.
    """
    space, evaluations = problem.level.action_space, plan.evaluations
    alone = replace(problem, cost=0 * Effort())
    finite = plan.actions.isfinite().flatten(1).all(dim=1) & ~plan.mask(PlanStatus.NOT_FINITE)
    with torch.no_grad():
        trajectory = plan.trajectory
        if problem.guardrails:
            trajectory = imagine(problem, space.project(plan.actions)[:, None])
            evaluations += trajectory.states.shape[2] * problem.horizon
        shown = replace(trajectory, states=trajectory.states.clone())  # what a guardrail does to it is lost
        scored, excesses = score(alone, shown)
        over, held, broken = _over(problem, excesses, scored.energy[:, 0])
        holds = finite & ~plan.mask(PlanStatus.INFEASIBLE) & held.all(0)
        leaving = finite & ~holds & beyond
        if leaving.any():
            resting = imagine(problem, rest.expand_as(plan.actions)[:, None])
            evaluations += resting.states.shape[2] * problem.horizon
            left, _, already = _over(problem, score(alone, resting)[1], scored.energy[:, 0])
            kept = held[:own].all(0) | (over[:own].sum(0) <= left[:own].sum(0))
            leaving = leaving & kept & (over.sum(0) < left.sum(0)) & ~(broken & ~already).any(0)
    return Verdict(scored.worst[:, 0], ~holds & ~leaving, leaving, trajectory, evaluations)


def _over(problem: Problem, excesses: tuple[Tensor, ...], like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of P plans and G guardrails, `[G, P]` each.

    By how much they violate it, buffer included, in its scale; whether they hold it; whether they violate
    it, the buffer aside.
    """
    if not excesses:
        none = like.new_zeros(0, len(like))
        return none, none == 0, none > 0
    over = torch.stack([excess[:, 0].relu().sum(-1).amax(-1) for excess in excesses])
    far = torch.stack([excess[:, 0].abs().amax((-2, -1)) for excess in excesses])
    deepest = torch.stack(
        [
            excess[:, 0].amax((-2, -1)) - guardrail.buffer / guardrail.scale
            for excess, guardrail in zip(excesses, problem.guardrails, strict=True)
        ]
    )
    rounding = ROUNDING * far.clamp_max(1)
    return over, over <= rounding, ~(deepest <= rounding)


def steps_of(trajectory: Trajectory, block: int, count: int) -> Tensor:
    """States `[P, K, count + 1, D]` at environment steps of plans (S = 1), straight within blocks."""
    states = trajectory.states[:, 0]
    moment = torch.arange(count + 1, device=states.device)
    before = (moment // block).clamp_max(states.shape[2] - 2)
    share = ((moment - before * block) / block).to(states.dtype)[:, None]
    return torch.lerp(states[:, :, before], states[:, :, before + 1], share.expand_as(states[:, :, before]))


def checked(plan: Plan, problem: Problem) -> Plan:
    """A plan that answers its problem, whoever the planner is."""
    B, T, size = problem.batch, problem.horizon, problem.level.action_space.size
    if plan.actions.shape != (B, T, size) or len(plan.status) != B:
        raise ValueError(
            f"a planner must return actions [B, T, size] = {[B, T, size]} and B statuses; got "
            f"{list(plan.actions.shape)} and {len(plan.status)}."
        )
    imagined = plan.trajectory.actions
    plan = replace(plan, actions=plan.actions.to(imagined))
    if imagined.shape != (B, 1, T, size) or not torch.allclose(imagined[:, 0], plan.actions, equal_nan=True):
        raise ValueError("a planner must return the imagined trajectory, S = 1, of the actions it returns.")
    return replace(plan, actions=plan.actions.to(problem.state))
