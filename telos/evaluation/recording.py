"""What was seen in a few episodes, and what the agent imagined: for people to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class ImaginedPlan:
    """One plan of a recorded episode."""

    step: int  # environment step at which it was made
    block: int  # environment steps per imagined step
    status: str
    safe: bool  # the safe action was executed instead
    energy: float | None
    violation: float | None  # the worst that it predicts; None without guardrails
    trace: np.ndarray  # [I] best energy after each iteration of the search
    readings: dict[str, np.ndarray] = field(default_factory=dict)  # [T+1, k], through the readouts
    frames: np.ndarray | None = None  # uint8 [T+1, H, W, C], decoded


@dataclass(frozen=True, eq=False)
class Zone:
    """Where a guardrail is violated, as signed violation on a grid over a two-dimensional reading."""

    reading: str
    extent: tuple[float, float, float, float]  # least and greatest x, then y, of the grid's points
    violation: np.ndarray  # [rows (y), columns (x)], positive inside the forbidden region


@dataclass(frozen=True, eq=False)
class Recording:
    """One recorded episode of `row.seed`."""

    seed: int
    success: bool
    reason: str
    frames: np.ndarray  # uint8 [T+1, H, W, C]
    goal_frame: np.ndarray | None  # uint8 [H, W, C]; None where the goal is no picture
    readings: dict[str, np.ndarray]  # true ones, [T+1, k]
    goal_readings: dict[str, np.ndarray]  # [k]; NaN where any value will do
    units: dict[str, str]
    first_touch: int | None = None
    zones: tuple[Zone, ...] = ()
    plans: tuple[ImaginedPlan, ...] = ()
    without: dict[str, np.ndarray] = field(default_factory=dict)  # readings planned without the guardrail

    def to_plain(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and arrays."""
        own = {name: value for name, value in vars(self).items() if name not in ("zones", "plans")}
        return {
            **own,
            "zones": [vars(zone) for zone in self.zones],
            "plans": [vars(plan) for plan in self.plans],
        }

    @staticmethod
    def from_plain(value: dict[str, Any]) -> Recording:
        """The inverse of `to_plain`."""
        rest = {name: item for name, item in value.items() if name not in ("zones", "plans")}
        return Recording(
            **rest,
            zones=tuple(Zone(**{**zone, "extent": tuple(zone["extent"])}) for zone in value["zones"]),
            plans=tuple(ImaginedPlan(**plan) for plan in value["plans"]),
        )
