"""Working memory: the last frames, what was done, and what each problem is up to, in this episode."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.types import Configuration, Observation, PlanStatus

HISTORY = 512
"""At most so many moments are kept per problem and task: the first one and the latest."""


@dataclass(frozen=True)
class Moment:
    """One planning, as it is remembered."""

    step: int  # environment steps since the episode's start
    energy: float  # of the present, as the task's cost sees it
    planned: float  # energy of the plan; NaN where none was executed
    status: PlanStatus
    configuration: Configuration


@dataclass
class Pursuit:
    """What one problem is up to in its present task."""

    plan: Tensor | None = None  # [T, size], what was last decided; None after a safe action
    imagined: Tensor | None = None  # [K, T+1, *state], what moves, as the plan was imagined
    tube: float | None = None  # how far from it the present may be before a new plan is due
    executed: int = 0  # environment steps of the plan
    watching: float = 0.0  # CPU seconds that comparing the present with the plan has taken
    queue: list[Tensor] = field(default_factory=list)  # environment actions [A] until the next plan
    history: list[Moment] = field(default_factory=list)  # one per plan, oldest first

    def follow(
        self, plan: Tensor | None, actions: Tensor, moment: Moment, *, imagined: Tensor | None = None
    ) -> None:
        """Set out to execute `actions` `[n, A]`, the beginning of `plan` `[T, size]` (None: of no plan).

        `imagined` `[K, T+1, *state]` is what the plan leads to, as it was predicted.
        """
        self.plan, self.executed, self.queue = plan, 0, list(actions)
        self.imagined = None if plan is None else imagined
        self.tube, self.watching = moment.configuration.tube, 0.0
        self.history.append(moment)
        if len(self.history) > HISTORY:
            del self.history[1]

    def strayed(self, moving: Tensor, *, block: int) -> float:
        """How far the present `[*state]` is from what was imagined for it, beyond the futures' spread.

        A root mean square over the state, in its units: the distance to the mean of the K futures, less that
        of the farthest of them. Within a block of `block` environment steps the way is a straight line. NaN
        where nothing was imagined for the present.
        """
        if self.imagined is None or not 0 < self.executed <= block * (self.imagined.shape[1] - 1):
            return math.nan
        number, part = divmod(self.executed - 1, block)
        begin, end = self.imagined[:, number], self.imagined[:, number + 1]
        now = begin.lerp(end, (part + 1) / block).flatten(1)
        mean = now.mean(0)
        away = torch.cat([moving.flatten()[None], now]) - mean
        present, *futures = away.square().mean(1).sqrt().tolist()
        return max(present - max(futures), 0.0)


class WorkingMemory:
    """What is kept of the present episode of `batch` problems.

    Args:
        batch: B, the number of problems.
        frames: how many observations an encoder sees at once.
        spacing: environment steps between two of them.
    """

    def __init__(self, batch: int, *, frames: int, spacing: int = 1) -> None:
        if batch < 1 or frames < 1 or spacing < 1:
            raise ValueError(
                f"batch, frames and spacing must be at least 1; got {batch}, {frames} and {spacing}."
            )
        self.batch = batch
        self.frames, self.spacing = frames, spacing
        self.pursuits = [Pursuit() for _ in range(batch)]
        self.actions: list[Tensor] = []  # one [B, A] per environment step
        self._window: list[Observation] = []

    @property
    def _look(self) -> int:
        return (self.frames - 1) * self.spacing + 1

    @property
    def step(self) -> int:
        """Environment steps executed since the episode's start."""
        return len(self.actions)

    def observe(self, present: Observation) -> None:
        """Take in the newest observation, with T = 1; at the episode's start it stands for those before."""
        for name, sensed in (("pixels", present.pixels), ("proprioception", present.proprioception)):
            if sensed is not None and sensed.shape[1] != 1:
                raise ValueError(
                    f"{name} must hold the newest observation alone, T = 1; got {list(sensed.shape)}. "
                    "Working memory stacks frames itself."
                )
        if present.batch != self.batch:
            raise ValueError(
                f"the batch must stay the same within an episode, {self.batch}; got {present.batch}. "
                "Call reset to begin another episode."
            )
        self._window = [*self._window, present][-self._look :]

    def recall(self, problems: Sequence[int]) -> Observation:
        """The last `frames` observations of some problems, `spacing` apart, oldest first: T = `frames`."""
        window = [self._window[0]] * (self._look - len(self._window)) + self._window
        window = window[:: self.spacing]
        index = torch.as_tensor(problems)
        return Observation(
            _stack([observation.pixels for observation in window], index),
            _stack([observation.proprioception for observation in window], index),
        )

    def due(self) -> list[int]:
        """The problems that have nothing left to execute."""
        return [problem for problem, pursuit in enumerate(self.pursuits) if not pursuit.queue]

    def act(self) -> Tensor:
        """The next action of every problem, `[B, A]`; it counts as executed. No problem may be due."""
        action = torch.stack([pursuit.queue.pop(0) for pursuit in self.pursuits])
        for pursuit in self.pursuits:
            pursuit.executed += 1
        self.actions.append(action)
        return action

    def watched(self) -> list[int]:
        """The problems whose present is to be compared with what was imagined, before a plan is due."""
        return [
            problem
            for problem, pursuit in enumerate(self.pursuits)
            if pursuit.queue and pursuit.tube is not None and pursuit.imagined is not None
        ]

    def reconsider(self, problems: Sequence[int] | None = None) -> None:
        """Make some problems due, by default all. The plans stay as a beginning for new ones."""
        for problem in range(self.batch) if problems is None else problems:
            self.pursuits[problem].queue.clear()

    def drop_task(self) -> None:
        """Forget plans and history, as they speak of a task that is gone. Frames and actions stay."""
        self.pursuits = [Pursuit() for _ in range(self.batch)]


def _stack(parts: list[Tensor | None], index: Tensor) -> Tensor | None:
    present = [part[index.to(part.device)] for part in parts if part is not None]
    return torch.cat(present, dim=1) if present else None
