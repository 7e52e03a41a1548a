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
    from telos.cost import (
        Box,
        Calibrated,
        Calibration,
        Disc,
        Effort,
        Goal,
        ReadingGoal,
        Readout,
        Trial,
        Union,
        calibrate,
        energy,
        keep_in,
        keep_out,
        settle,
    )
    from telos.data import EpisodeStore, Windows, collect, import_videos
    from telos.evaluation import Evaluation, evaluate
    from telos.model import Model
    from telos.training import fit_decoder, fit_readouts, fit_reflex, learn_guardrail, train
    from telos.types import ActionSpace, Observation, Plan, Problem, Reading, Task, Trajectory, World
    from telos.worlds import GymAdapter, GymWorld, Rooms, make

__version__ = "0.1.0"

_HOME = {
    "ActionSpace": "telos.types",
    "Agent": "telos.agent",
    "Box": "telos.cost",
    "CEM": "telos.actor",
    "Calibrated": "telos.cost",
    "Calibration": "telos.cost",
    "Configurator": "telos.configurator",
    "Disc": "telos.cost",
    "Effort": "telos.cost",
    "EpisodeStore": "telos.data",
    "Evaluation": "telos.evaluation",
    "Goal": "telos.cost",
    "Gradient": "telos.actor",
    "GymAdapter": "telos.worlds",
    "GymWorld": "telos.worlds",
    "MPPI": "telos.actor",
    "Model": "telos.model",
    "Observation": "telos.types",
    "Plan": "telos.types",
    "Problem": "telos.types",
    "Reading": "telos.types",
    "ReadingGoal": "telos.cost",
    "Readout": "telos.cost",
    "Rooms": "telos.worlds",
    "Task": "telos.types",
    "Trajectory": "telos.types",
    "Trial": "telos.cost",
    "Union": "telos.cost",
    "Windows": "telos.data",
    "World": "telos.types",
    "calibrate": "telos.cost",
    "collect": "telos.data",
    "energy": "telos.cost",
    "evaluate": "telos.evaluation",
    "fit_decoder": "telos.training",
    "fit_readouts": "telos.training",
    "fit_reflex": "telos.training",
    "import_videos": "telos.data",
    "keep_in": "telos.cost",
    "keep_out": "telos.cost",
    "learn_guardrail": "telos.training",
    "make": "telos.worlds",
    "settle": "telos.cost",
    "train": "telos.training",
}
_SUBMODULES = ("recipes", "reports", "types", "worlds")


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _SUBMODULES:
        return importlib.import_module(f"telos.{name}")
    raise AttributeError(f"module 'telos' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOME, *_SUBMODULES})


__all__ = [
    "CEM",
    "MPPI",
    "ActionSpace",
    "Agent",
    "Box",
    "Calibrated",
    "Calibration",
    "Configurator",
    "Disc",
    "Effort",
    "EpisodeStore",
    "Evaluation",
    "Goal",
    "Gradient",
    "GymAdapter",
    "GymWorld",
    "Model",
    "Observation",
    "Plan",
    "Problem",
    "Reading",
    "ReadingGoal",
    "Readout",
    "Rooms",
    "Task",
    "Trajectory",
    "Trial",
    "Union",
    "Windows",
    "World",
    "calibrate",
    "collect",
    "energy",
    "evaluate",
    "fit_decoder",
    "fit_readouts",
    "fit_reflex",
    "import_videos",
    "keep_in",
    "keep_out",
    "learn_guardrail",
    "make",
    "settle",
    "train",
]
