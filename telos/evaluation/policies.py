"""What acts in an evaluation: telos' agent, and the floors that every result is held against."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from telos.agent import Agent
from telos.configurator import Configure, Situation
from telos.cost import Sum, Term
from telos.data import ExplorationPolicy
from telos.evaluation.episodes import Decision, Guardrails
from telos.evaluation.recording import ImaginedPlan
from telos.types import Configuration, Guardrail, Plan, Planner, PlanStatus, Problem, Trajectory, World

if TYPE_CHECKING:
    from telos.model import Model

Aim = Callable[[Agent, World], None]
"""Give the agent its task in a world that has just begun one: by default the goal's picture."""


def aim_at_picture(agent: Agent, world: World) -> None:
    """Reach what the goal looks like."""
    agent.reach(world.goal_frames())


class AgentPolicy:
    """telos' agent on the tasks of a batch of worlds: a fresh agent for every batch.

    Args:
        model: what was learned.
        configurator: how it plans; the model's own by default.
        aim: how the agent is given its task.
        seed: of the planner's randomness.
        penalty: instead of holding guardrails, add this weight times their excess to the cost, as a baseline:
            what a guardrail is not. 0 ignores them.
    """

    def __init__(
        self,
        model: Model,
        *,
        configurator: Configure | None = None,
        aim: Aim = aim_at_picture,
        seed: int = 0,
        penalty: float | None = None,
    ) -> None:
        self.model = model
        self.penalty = penalty
        self.configurator: Configure = configurator or model.configurator
        self.aim = aim
        self._generator = torch.Generator(next(model.parameters()).device).manual_seed(seed)

    def begin(self, world: World, guardrails: Guardrails) -> None:
        """Make an agent with these guardrails and give it its task."""
        self._plans: list[_Kept] = []
        self._agent = Agent(
            self.model,
            guardrails=guardrails if self.penalty is None else (),
            configurator=_Watch(self.configurator, self._plans),
            generator=self._generator,
        )
        self._agent.reset(world.num)
        self.aim(self._agent, world)
        if self.penalty and self._agent.task is not None:
            task, cost = self._agent.task, Penalty(tuple(guardrails), self.penalty)
            self._agent.set_task(replace(task, cost=Sum((task.cost, cost))))

    def act(self, frames: np.ndarray) -> np.ndarray:
        """The agent's actions."""
        return self._agent.act(frames)

    def told(self, guardrail: Guardrail) -> tuple[Tensor, Tensor]:
        """What was predicted and perceived of a guardrail that is held; see the agent."""
        return self._agent.predicted_and_perceived(guardrail)

    def decisions(self, copy: int) -> list[Decision]:
        """The plans of one copy's episode."""
        found = []
        for record in self._agent.records:
            if copy in record.problems:
                row = record.problems.index(copy)
                found.append(
                    Decision(
                        step=record.step,
                        evaluations=record.evaluations,
                        infeasible=record.status[row] is PlanStatus.INFEASIBLE,
                        safe=record.safe[row],
                        predicted=_known(record.violation[row]),
                    )
                )
        return found

    def imagined(self, copy: int) -> tuple[ImaginedPlan, ...]:
        """What each plan imagined, read and, where one begins when the last one has run out, decoded."""
        found, free = [], 0
        block = self.model.config.action_space.block
        for record, plan in zip(self._agent.records, self._plans, strict=True):
            if copy not in record.problems:
                continue
            row = record.problems.index(copy)
            shown = record.step >= free
            states = plan.states[row]
            if shown:
                free = record.step + block * (len(states) - 1)
            with torch.no_grad():
                readings = {name: self.model.read(name, states).cpu().numpy() for name in self.model.readouts}
                decoded = shown and self.model.decoder is not None
                pictures = self.model.decode(states, perceived=plan.present[row]) if decoded else None
            found.append(
                ImaginedPlan(
                    step=record.step,
                    block=block,
                    status=record.status[row].value,
                    safe=record.safe[row],
                    energy=_known(record.energy[row]),
                    violation=_known(record.violation[row]),
                    trace=plan.trace[:, row].cpu().numpy(),
                    readings=readings,
                    frames=None if pictures is None else pictures.cpu().numpy(),
                )
            )
        return tuple(found)


@dataclass(frozen=True, eq=False)
class Penalty(Term):
    """Guardrails as a cost: the mean over steps of their excess, in their scales, times a weight."""

    guardrails: tuple[Guardrail, ...]
    weight: float

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        each = [
            ((guardrail(trajectory)[..., 1:] + guardrail.buffer) / guardrail.scale).relu().mean(-1)
            for guardrail in self.guardrails
        ]
        return self.weight * torch.stack(each).sum(0)

    def select(self, index: Tensor) -> Penalty:
        """The penalty of some problems."""
        return Penalty(tuple(guardrail.select(index) for guardrail in self.guardrails), self.weight)


class NoOp:
    """Do nothing: the allowed action nearest to zero, or the first of discrete ones."""

    def begin(self, world: World, guardrails: Guardrails) -> None:
        """Find the action that is nearest to zero."""
        space = world.action_space
        action = space.project(torch.zeros(1, space.dimension)).numpy()
        self._actions = np.repeat(action, world.num, axis=0)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """The same for all."""
        return self._actions

    def decisions(self, copy: int) -> list[Decision]:
        """None: nothing is planned."""
        return []

    def imagined(self, copy: int) -> tuple[ImaginedPlan, ...]:
        """None: nothing is imagined."""
        return ()


class Blind(NoOp):
    """Act at random, without looking: an exploration policy of `telos.data`."""

    def __init__(self, policy: ExplorationPolicy, *, seed: int) -> None:
        self._policy, self._random = policy, np.random.default_rng(seed)

    def begin(self, world: World, guardrails: Guardrails) -> None:
        """Draw every action of the batch."""
        space, steps = world.action_space, world.episode_steps
        drawn = [self._policy(space, steps, self._random) for _ in range(world.num)]
        self._left = iter(np.stack(drawn, axis=1))

    def act(self, frames: np.ndarray) -> np.ndarray:
        """The next actions."""
        return next(self._left)


@dataclass(frozen=True, eq=False)
class _Kept:
    """What is kept of a planner's answer, for the P problems it was asked for."""

    present: Tensor  # [P, *state], the perceived states
    states: Tensor  # [P, T+1, *state] of the first imagined future
    trace: Tensor  # [I, P]


@dataclass(frozen=True)
class _Watched:
    """A planner whose answers are kept."""

    planner: Planner
    kept: list[_Kept] = field(compare=False, repr=False)

    def __call__(self, problem: Problem) -> Plan:
        plan = self.planner(problem)
        kept = (problem.state, plan.trajectory.states[:, 0, 0], plan.trace)
        self.kept.append(_Kept(*(each.detach().clone() for each in kept)))
        return plan


class _Watch:
    """A configurator that decides as another one does, with planners whose answers are kept.

    The inner configurator sees its own planners in the history, so that it can compare them.
    """

    def __init__(self, configure: Configure, kept: list[_Kept]) -> None:
        self._configure, self._kept = configure, kept

    def __call__(self, situation: Situation) -> Configuration:
        history = tuple(
            replace(moment, configuration=_plainly(moment.configuration)) for moment in situation.history
        )
        decided = self._configure(replace(situation, history=history))
        return replace(decided, planner=_Watched(decided.planner, self._kept))


def _plainly(configuration: Configuration) -> Configuration:
    planner = configuration.planner
    return replace(configuration, planner=planner.planner if isinstance(planner, _Watched) else planner)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
