"""Objective-driven AI: learn a world model from pixels, then act by planning, inside guardrails.

Every public name is here too (`telos.make`, `telos.train`, `telos.Agent`, ...), imported when it is
first used, so that `import telos` takes no time.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telos.actor import CEM, MPPI, Gradient
    from telos.agent import Agent
    from telos.configurator import Configurator
    from telos.cost import Box, Disc, Effort, Goal, ReadingGoal, Readout, energy, keep_in, keep_out
    from telos.data import EpisodeStore, Windows, collect, import_videos
    from telos.evaluation import Evaluation, evaluate
    from telos.model import Model
    from telos.training import fit_decoder, fit_readouts, train
    from telos.types import ActionSpace, Observation, Plan, Problem, Reading, Task, Trajectory, World
    from telos.worlds import GymAdapter, GymWorld, Rooms, make

__version__ = "0.1.0"

_HOME = {
    "telos.actor": ("CEM", "MPPI", "Gradient"),
    "telos.agent": ("Agent",),
    "telos.configurator": ("Configurator",),
    "telos.cost": (
        *("Box", "Disc", "Effort", "Goal", "ReadingGoal", "Readout", "energy", "keep_in", "keep_out"),
    ),
    "telos.data": ("EpisodeStore", "Windows", "collect", "import_videos"),
    "telos.evaluation": ("Evaluation", "evaluate"),
    "telos.model": ("Model",),
    "telos.training": ("fit_decoder", "fit_readouts", "train"),
    "telos.types": (
        *("ActionSpace", "Observation", "Plan", "Problem", "Reading", "Task", "Trajectory", "World"),
    ),
    "telos.worlds": ("GymAdapter", "GymWorld", "Rooms", "make"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
_SUBMODULES = ("recipes", "reports", "types", "worlds")


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(_MODULE_OF[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"telos.{name}")
    raise AttributeError(f"module 'telos' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULE_OF, *_SUBMODULES])
