"""The agent: perceive, recall, configure, plan, act, remember."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import overload

import numpy as np
import torch
from torch import Tensor

from telos.actor import shift, worst_case
from telos.configurator import Configure, Situation, batches
from telos.cost import Drift, Effort, Goal, ReadingGoal, Term, Watch, checked_energy, goal_state
from telos.errors import UnknownName
from telos.judge import Verdict, allowed, checked, judge, steps_of
from telos.memory import Moment, PlanRecord, Pursuit, Usage, WorkingMemory, sensed, usage
from telos.model import Model
from telos.types import (
    Aggregate,
    Configuration,
    Cost,
    Guardrail,
    Level,
    Observation,
    Plan,
    Problem,
    Task,
    Trajectory,
)


class Agent:
    """Acts in B episodes at once so as to lower the cost of its task, inside its guardrails.

    A plan is executed only if it is predicted to hold every guardrail at every step; otherwise the safe
    action is executed until the next plan. From where a guardrail is violated already, a plan is executed
    if it violates less in total than the safe action would, and the agent's own guardrails no more. They are
    asked about what the agent imagines itself, and can be added to, never removed or loosened. What was
    predicted of them is compared with what is then perceived: a plan that comes too near is made anew, and
    `drifts` tells of what is no longer as calibrated.

    Args:
        model: what was learned; put into evaluation mode.
        task: what is asked; `reach`, `reach_reading` and `set_task` give another one at any time.
        guardrails: those that hold for every task.
        configurator: decides how each problem is planned; by default the model's own, its recipe's.
        safe_action: `[A]`, done where no plan is safe; by default the allowed action nearest to zero.
        aggregate: over the imagined futures; by default the worst counts, so that a plan that only one
            predictor of an ensemble believes in does not win.
        generator: the randomness of planning, on the model's device; by default a new one with seed 0.
    """

    def __init__(
        self,
        model: Model,
        *,
        task: Task | None = None,
        guardrails: Sequence[Guardrail] = (),
        configurator: Configure | None = None,
        safe_action: Sequence[float] | Tensor | None = None,
        aggregate: Aggregate = worst_case,
        generator: torch.Generator | None = None,
    ) -> None:
        self.model = model.eval()
        self.device = next((weight.device for weight in model.parameters()), torch.device("cpu"))
        self.configurator: Configure = configurator or model.configurator
        self.aggregate = aggregate
        self.generator = generator or torch.Generator(self.device).manual_seed(0)
        self.records: list[PlanRecord] = []
        self._space = model.config.action_space
        self._safe_action = allowed(safe_action, self._space).to(self.device)
        self._guardrails = tuple(guardrails)
        self._task = task
        self._memory: WorkingMemory | None = None
        self._watch = Watch(size=self._space.size)

    @property
    def guardrails(self) -> tuple[Guardrail, ...]:
        """The guardrails that hold now: the agent's own, then those of the task."""
        return (*self._guardrails, *(self._task.guardrails if self._task else ()))

    @property
    def task(self) -> Task | None:
        """What is asked of the agent."""
        return self._task

    @property
    def usage(self) -> Usage:
        """What planning has cost since the last reset."""
        return usage(self.records)

    @property
    def drifts(self) -> tuple[Drift, ...]:
        """The alarms so far, resets or not: calibrated guardrails whose episodes are not as calibrated."""
        return tuple(self._watch.drifts)

    def predicted_and_perceived(self, guardrail: Guardrail) -> tuple[Tensor, Tensor]:
        """What plans predicted of one of `guardrails` and what was then perceived, each `[T, B]`.

        Signed violations at the steps since the last reset; infinite where nothing was predicted.
        """
        return self._watch.told(guardrail)

    def reset(self, batch: int = 1) -> None:
        """Begin `batch` new episodes: forget frames, plans and records. Task and guardrails stay."""
        config = self.model.config
        self._memory = WorkingMemory(batch, frames=config.frames, spacing=config.spacing)
        self._watch.begin()
        self.records = []

    def set_task(self, task: Task) -> None:
        """Take on another task; it is planned for at the next call of `act`."""
        self._task = task
        if self._memory is not None:
            self._memory.drop_task()

    def add_guardrail(self, guardrail: Guardrail) -> None:
        """Hold one more guardrail, whatever the task. Plans that were made without it are not continued."""
        self._guardrails = (*self._guardrails, guardrail)
        if self._memory is not None:
            self._memory.reconsider()

    def reach(
        self,
        goal: Observation | np.ndarray,
        *,
        effort: float = 0.0,
        guardrails: Sequence[Guardrail] = (),
        deadline: float | None = None,
    ) -> None:
        """Take on the task to make the world look like `goal`.

        Args:
            goal: an observation with T = 1, or frames uint8 `[B, H, W, C]`, or `[H, W, C]` for all problems.
            effort: the weight of the mean squared action.
            guardrails: those of this task.
            deadline: seconds of wall time per plan.
        """
        config = self.model.config
        still = sensed(goal, config.frame_shape, self.device)
        memory = WorkingMemory(still.batch, frames=config.frames, spacing=config.spacing)
        memory.observe(still)
        with torch.no_grad():
            state = self.model.moving(self.model.encode(memory.recall(range(still.batch))))
        self.set_task(_task(Goal(state), effort, guardrails, deadline))

    def reach_reading(
        self,
        name: str,
        value: Sequence[float] | Tensor,
        *,
        scale: float = 1.0,
        effort: float = 0.0,
        guardrails: Sequence[Guardrail] = (),
        deadline: float | None = None,
    ) -> None:
        """Take on the task to bring the reading `name` to `value`, `[k]` or `[B, k]`, in its units.

        `scale` is the difference that counts as 1 (see `ReadingGoal`); the rest is as for `reach`.
        """
        if name not in self.model.readouts:
            raise UnknownName("readout", name, self.model.readouts)
        wanted = torch.as_tensor(value, dtype=torch.float32, device=self.device)
        cost = ReadingGoal(partial(self.model.read, name), wanted, scale)
        self.set_task(_task(cost, effort, guardrails, deadline))

    @overload
    def act(self, observation: Observation) -> Tensor: ...
    @overload
    def act(self, observation: np.ndarray) -> np.ndarray: ...
    def act(self, observation: Observation | np.ndarray) -> Tensor | np.ndarray:
        """The actions of one environment step.

        Give the newest observation: with T = 1, for actions `[B, A]`; as frames uint8 `[B, H, W, C]`, for
        numpy actions `[B, A]`; or as one frame `[H, W, C]`, for one action `[A]`. Call it once per step
        of the environment: it stacks frames itself, and plans when a plan is due.

        Raises:
            ValueError: no task was set, the observation has the wrong shape or dtype, or the batch size
                is not that of the last reset.
        """
        if self._task is None:
            raise ValueError(
                "there is no task: call reach(goal), reach_reading(name, value) or set_task(task)."
            )
        present = sensed(observation, self.model.config.frame_shape, self.device)
        if self._memory is None:
            self.reset(present.batch)
        assert self._memory is not None
        self._memory.observe(present)
        self._look_out(self._memory)
        early = self._astray(self._memory)
        if due := self._memory.due():
            self._decide(self._task, self._memory, due, early)
        action = self._memory.act()
        if isinstance(observation, Observation):
            return action
        return action.cpu().numpy() if observation.ndim == 4 else action[0].cpu().numpy()

    def _look_out(self, memory: WorkingMemory) -> None:
        """Make those problems due whose plans have become dangerous."""
        if not self.guardrails:
            self._watch.pause()
            return
        began = time.process_time()
        with torch.no_grad():
            seen = self.model.encode(memory.recall(range(memory.batch)))
            memory.reconsider(self._watch.see(self.guardrails, self.model.moving(seen)))
        seconds = (time.process_time() - began) / memory.batch
        for pursuit in memory.pursuits:
            pursuit.watching += seconds

    def _astray(self, memory: WorkingMemory) -> list[int]:
        """Make those problems due whose present has left the tube of their plan."""
        if not (watched := memory.watched()):
            return []
        began = time.process_time()
        with torch.no_grad():
            moving = self.model.moving(self.model.encode(memory.recall(watched)))
        early = []
        for problem, present in zip(watched, moving, strict=True):
            pursuit = memory.pursuits[problem]
            assert pursuit.tube is not None
            if not pursuit.strayed(present, block=self._space.block) <= pursuit.tube:
                early.append(problem)
        memory.reconsider(early)
        seconds = (time.process_time() - began) / len(watched)
        for problem in watched:
            memory.pursuits[problem].watching += seconds
        return early

    def _decide(self, task: Task, memory: WorkingMemory, due: list[int], early: list[int]) -> None:
        """Perceive, recall, configure, plan and remember, for the problems that are due."""
        began = time.process_time()
        with torch.no_grad():
            states = self.model.encode(memory.recall(due))
            situations = self._situations(task, memory, due, states, early)
        decided = [self.configurator(situation) for situation in situations]
        watching = sum(memory.pursuits[name].watching for name in due)
        overhead = (time.process_time() - began + watching) / len(due)
        for rows in batches(decided, situations):
            began = time.process_time()
            group = _Group(
                [due[row] for row in rows], [situations[row] for row in rows], [decided[row] for row in rows]
            )
            judged = self._problem(task, memory, group, states[rows])  # a planner may change what it is given
            plan = checked(group.configuration.planner(replace(judged, state=states[rows])), judged)
            verdict = self._judge(judged, plan, group)
            seconds = overhead + (time.process_time() - began) / len(rows)
            self._remember(memory, group, plan, verdict, seconds)

    def _situations(
        self, task: Task, memory: WorkingMemory, due: list[int], states: Tensor, early: list[int]
    ) -> list[Situation]:
        """What is known of the problems that are due, in `states` `[P, *state]`."""
        cost, guardrails = self._held(task, memory, due)
        moving = self.model.moving(states)
        still = torch.stack([moving] * 2, dim=1)[:, None, None]
        present = Trajectory(still, still.new_zeros(len(due), 1, 1, self._space.size))
        excess = states.new_zeros(len(due))
        for guardrail in guardrails:  # before the cost, which may change what it is shown
            excess = excess + (guardrail(present)[:, 0, 0, 0] + guardrail.buffer).relu() / guardrail.scale
        energy = checked_energy(cost, present)[:, 0, 0]
        return [
            Situation(
                step=memory.step,
                energy=float(energy[row]),
                warm=memory.pursuits[name].plan is not None,
                guardrails=len(guardrails),
                excess=float(excess[row]),
                history=tuple(memory.pursuits[name].history),
                strayed=memory.pursuits[name].strayed(moving[row], block=self._space.block),
                early=name in early,
            )
            for row, name in enumerate(due)
        ]

    def _problem(self, task: Task, memory: WorkingMemory, group: _Group, states: Tensor) -> Problem:
        """What a planner is asked for some problems that are planned alike."""
        chosen, budget, warm = group.configuration, group.configuration.budget, None
        if not 1 <= chosen.replan_every <= chosen.horizon * self._space.block:
            raise ValueError(
                "replan_every must be at least 1 environment step and end within the plan of "
                f"{chosen.horizon} blocks of {self._space.block}; got {chosen.replan_every}."
            )
        if task.deadline is not None:
            seconds = task.deadline if budget.seconds is None else min(task.deadline, budget.seconds)
            budget = replace(budget, seconds=seconds)
        if group.situations[0].warm:
            pursuits = [memory.pursuits[name] for name in group.problems]
            warm = torch.cat([self._ahead(pursuit, chosen.horizon) for pursuit in pursuits])
        cost, guardrails = self._held(task, memory, group.problems)
        goal = goal_state(cost)
        return Problem(
            state=states,
            levels=(Level(self.model.rollout, self._space, resume=self.model.resume),),
            cost=cost,
            aggregate=self.aggregate,
            horizon=chosen.horizon,
            generator=self.generator,
            guardrails=guardrails,
            budget=budget,
            warm_start=warm,
            policy=None if goal is None else self.model.policy(states, goal),
        )

    def _held(
        self, task: Task, memory: WorkingMemory, problems: list[int]
    ) -> tuple[Cost, tuple[Guardrail, ...]]:
        """The cost and the guardrails of some problems; unselected for all, so that a wrong B shows."""
        if len(problems) == memory.batch:
            return task.cost, self.guardrails
        index = torch.tensor(problems, device=self.device)  # a copy for each, as it could be changed
        return task.cost.select(index.clone()), tuple(each.select(index.clone()) for each in self.guardrails)

    def _ahead(self, pursuit: Pursuit, horizon: int) -> Tensor:
        """What is left of a plan, cut or filled up with rest to `[1, horizon, size]`."""
        assert pursuit.plan is not None
        rest = self._space.project(pursuit.plan.new_zeros(horizon, self._space.size))
        ahead = torch.cat([pursuit.plan, rest])[None]
        return shift(ahead, pursuit.executed // self._space.block)[:, :horizon]

    def _judge(self, problem: Problem, plan: Plan, group: _Group) -> Verdict:
        """Which plans may be executed, by the agent's own guardrails; the watch is told what to expect."""
        beyond = torch.tensor([situation.excess > 0 for situation in group.situations], device=self.device)
        block = self._safe_action.repeat(self._space.size // self._space.dimension)
        verdict = judge(problem, plan, own=len(self._guardrails), beyond=beyond, rest=block)
        if problem.guardrails:
            assert self._memory is not None
            steps = steps_of(verdict.trajectory, self._space.block, group.configuration.replan_every)
            with torch.no_grad():
                self._watch.expect(self.guardrails, group.problems, steps, verdict.safe, self._memory.batch)
        return verdict

    def _remember(
        self, memory: WorkingMemory, group: _Group, plan: Plan, verdict: Verdict, seconds: float
    ) -> None:
        """Set each problem on its way, and record what was decided."""
        steps = group.configuration.replan_every
        planned = self._space.expand(self._space.project(plan.actions))[:, :steps]
        resting = self._safe_action.expand(steps, -1)
        for row, (name, situation) in enumerate(zip(group.problems, group.situations, strict=True)):
            safe, energy = bool(verdict.safe[row]), float(plan.energy[row])
            memory.pursuits[name].follow(
                None if safe else plan.actions[row],
                resting if safe else planned[row],
                Moment(
                    step=memory.step,
                    energy=situation.energy,
                    planned=math.nan if safe else energy,
                    status=plan.status[row],
                    configuration=group.decided[row],
                ),
                imagined=plan.trajectory.states[row, 0],
            )
        self.records.append(
            PlanRecord(
                step=memory.step,
                problems=tuple(group.problems),
                configuration=group.configuration,
                reasons=tuple(configuration.reason for configuration in group.decided),
                status=plan.status,
                energy=tuple(plan.energy.tolist()),
                violation=tuple(verdict.violation.tolist()),
                safe=tuple(verdict.safe.tolist()),
                leaving=tuple(verdict.leaving.tolist()),
                strayed=tuple(situation.strayed for situation in group.situations),
                early=tuple(situation.early for situation in group.situations),
                evaluations=verdict.evaluations,
                seconds=seconds,
            )
        )


@dataclass(frozen=True)
class _Group:
    """Problems that are planned together."""

    problems: list[int]
    situations: list[Situation]
    decided: list[Configuration]  # equal but for the reason

    @property
    def configuration(self) -> Configuration:
        return self.decided[0]


def _task(cost: Term, effort: float, guardrails: Sequence[Guardrail], deadline: float | None) -> Task:
    return Task(cost + effort * Effort() if effort else cost, tuple(guardrails), deadline)
