"""Why a task failed, as far as readings and actions tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from telos.types import World

_TAIL = 0.2  # the share of the episode that counts as its end
_STILL = 0.02  # moved less than this share of the way from start to goal
_PUSHING = 0.25  # acted with more than this share of the largest action, or did something as often


@runtime_checkable
class Ways(Protocol):
    """A world that knows the shortest way between two places."""

    def waypoints(
        self, start: np.ndarray, goal: np.ndarray, layout: Sequence[int] | np.ndarray
    ) -> list[np.ndarray]:
        """Start `[n, 2]`, goal `[n, 2]` and layout `[n]` to n polylines `[P, 2]`."""
        ...


@dataclass(frozen=True, eq=False)
class Ending:
    """One episode that has ended."""

    readings: Mapping[str, np.ndarray]  # [T+1, k]
    goal: Mapping[str, np.ndarray]  # [k]; NaN where any value will do
    actions: np.ndarray  # [T, A]
    layout: int
    first_touch: int | None
    safe_share: float  # of its plans, replaced by the safe action


def distance(values: np.ndarray, goal: np.ndarray) -> float:
    """From a reading `[k]` to its goal `[k]`; where the goal is NaN, any value will do."""
    return float(np.linalg.norm(np.nan_to_num(values - goal)))


def diagnose(ending: Ending, world: World) -> str:
    """The first cause that applies to a task that was not at its goal at the end, then its numbers.

    The cause comes before the first number or bracket, so that equal causes can be counted.
    """
    if ending.first_touch is not None:
        return f"reached the goal and left it (was there at step {ending.first_touch})"
    if ending.safe_share > 0.5:
        return f"found no plan inside the guardrails ({ending.safe_share:.0%} of its plans)"
    name = next(iter(ending.goal), None)
    if name is None:
        return "did not reach the goal"
    path, goal, unit = ending.readings[name], ending.goal[name], world.readings[name].unit
    gap = distance(path[-1], goal)
    away = f"{gap:.3g} {unit}".strip() + " from the goal"
    if isinstance(world, Ways) and not np.isnan(goal).any():
        way = world.waypoints(path[-1:], goal[None], [ending.layout])[0]
        length = float(np.linalg.norm(np.diff(way, axis=0), axis=1).sum())
        if len(way) > 2 and length > 1.05 * gap:
            pressing = ", pressed against it" if _pressing(ending, path, world) else ""
            return f"on the wrong side of a wall{pressing}, {away} (the way round: {length:.3g} {unit})"
    if _pressing(ending, path, world):
        return f"pushed without moving, {away}"
    travelled = distance(path[0], goal) - gap
    return f"stopped short, {away}" if travelled > 0 else f"ended farther away than it began, {away}"


def _pressing(ending: Ending, path: np.ndarray, world: World) -> bool:
    tail = max(int(_TAIL * len(ending.actions)), 1)
    scale = distance(path[0], next(iter(ending.goal.values()))) or 1.0
    moved = float(np.linalg.norm(path[-tail:] - path[-1], axis=-1).max())
    space = world.action_space
    largest = space.max_norm or float(np.linalg.norm(space.high))
    effort = float(np.linalg.norm(ending.actions[-tail:], axis=-1).mean()) / largest
    if space.one_hot:
        effort = 1 - float(ending.actions[-tail:, 0].mean())
    return moved < _STILL * scale and effort > _PUSHING
