"""The configurator: from a problem's situation to how it is planned, and why."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, is_dataclass, replace
from typing import Any

from telos import actor
from telos.actor import CEM
from telos.configuration import from_dict, to_dict
from telos.errors import TelosError
from telos.memory import Moment
from telos.types import Budget, Configuration, PlanStatus


@dataclass(frozen=True)
class Situation:
    """What is known of one problem when its next plan is due."""

    step: int  # environment steps since the episode's start
    energy: float  # of the present, as the task's cost sees it: that of standing still for one block
    warm: bool  # the last plan is there to begin with
    guardrails: int  # how many are active
    excess: float  # how far the present is beyond its guardrails, 0 where it holds them all
    history: tuple[Moment, ...] = ()  # the plans for this task so far, oldest first
    strayed: float = math.nan  # how far the present is from what the last plan imagined (`Pursuit.strayed`)
    early: bool = False  # planned before its time, because the present has left the tube


Configure = Callable[[Situation], Configuration]
"""Decide how to plan. Problems that get equal configurations (the reason aside) are planned together."""


def alike(one: Configuration, other: Configuration) -> bool:
    """Whether two configurations are the same but for the reason."""
    return replace(one, reason="") == replace(other, reason="")


def batches(decided: Sequence[Configuration], situations: Sequence[Situation]) -> list[list[int]]:
    """The rows that can be planned in one call: configured alike, and all or none with a warm start."""
    found: list[list[int]] = []
    for row, configuration in enumerate(decided):
        for batch in found:
            first = batch[0]
            if alike(decided[first], configuration) and situations[first].warm == situations[row].warm:
                batch.append(row)
                break
        else:
            found.append([row])
    return found


_PARTS: Mapping[str, type] = {
    name: part for name, part in vars(actor).items() if isinstance(part, type) and is_dataclass(part)
}
"""What planners are put together from, by name."""


def _explore() -> Configuration:
    return Configuration(CEM(candidates=256), horizon=20, budget=Budget(10), replan_every=4)


def _track() -> Configuration:
    return Configuration(CEM(candidates=64), horizon=20, budget=Budget(2), replan_every=4)


def _settle() -> Configuration:
    return Configuration(CEM(candidates=64), horizon=4, budget=Budget(2), replan_every=4)


@dataclass(frozen=True)
class Configurator:
    """Search far where it is needed, and cheaply where it is not.

    - *explore*: the first plan of a task, after one that could not be executed, beyond a guardrail, and
      when there was no progress for `patience` environment steps since it last explored;
    - *track*: follow the last plan and mend it;
    - *settle*: near the goal.

    How near is told by the energy of the present as a share of the highest one since the task was set:
    *settle* below `near`; below `arrived` a lack of progress is no reason to explore. Progress is
    a fall of either the present's energy or the plans' by the share `progress`.
    """

    explore: Configuration = field(default_factory=_explore)
    track: Configuration = field(default_factory=_track)
    settle: Configuration = field(default_factory=_settle)
    near: float = 0.1
    arrived: float = 0.01
    patience: int = 32
    progress: float = 0.02

    def __post_init__(self) -> None:
        if not 0 <= self.arrived <= self.near <= 1:
            raise ValueError(f"0 <= arrived <= near <= 1 must hold; got {self.arrived} and {self.near}.")
        if self.patience < 1 or not 0 <= self.progress < 1:
            raise ValueError(
                "patience must be at least 1 and progress in [0, 1); got "
                f"{self.patience} and {self.progress}."
            )

    def __call__(self, situation: Situation) -> Configuration:
        """How to plan in this situation."""
        history = situation.history
        if not history:
            return replace(self.explore, reason="first plan of the task")
        if history[-1].status in (PlanStatus.INFEASIBLE, PlanStatus.NOT_FINITE):
            return replace(self.explore, reason=f"the last search ended {history[-1].status.value}")
        if situation.excess > 0:
            return replace(self.explore, reason="beyond a guardrail")
        if not situation.warm:
            return replace(self.explore, reason="no plan to begin with")
        farthest = max(moment.energy for moment in history)
        share = situation.energy / farthest if farthest > 0 else math.inf
        if share <= self.arrived:
            return replace(self.settle, reason="at the goal")
        if self.stalled(situation):
            return replace(self.explore, reason=f"no progress for {self.patience} steps")
        if share <= self.near:
            return replace(self.settle, reason="near the goal")
        return replace(self.track, reason="following the last plan")

    def to_json(self) -> dict[str, Any] | None:
        """As JSON; None where it plans with a part of one's own, which `from_json` could not make again."""
        told = to_dict(self, parts=_PARTS)
        try:
            return told if Configurator.from_json(told) == self else None
        except (TelosError, TypeError, ValueError):
            return None

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Configurator:
        """Read what `to_json` gave. `UnknownName` for a part or a setting that telos does not have."""
        return from_dict(Configurator, value, parts=_PARTS)

    def stalled(self, situation: Situation) -> bool:
        """Whether there was no progress for `patience` steps, counted from when it last explored."""
        since: list[Moment] = []
        for moment in reversed(situation.history):
            since.append(moment)
            if alike(moment.configuration, self.explore):
                break
        now = situation.step - self.patience
        before = [moment for moment in since if moment.step <= now]
        lately = [moment for moment in since if moment.step > now]
        if not before:
            return False
        present = self._fell(
            [moment.energy for moment in before], [*(moment.energy for moment in lately), situation.energy]
        )
        planned = self._fell([moment.planned for moment in before], [moment.planned for moment in lately])
        return not present and not planned

    def _fell(self, before: Sequence[float], lately: Sequence[float]) -> bool:
        known = [value for value in before if not math.isnan(value)]
        low = min((value for value in lately if not math.isnan(value)), default=math.inf)
        return bool(known) and low < min(known) - self.progress * abs(min(known))
