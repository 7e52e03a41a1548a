"""Worlds: what the agent lives in. `make` gives copies of one, stepped together.

Built in: `telos/TwoRooms-v0` and its variants, `telos/FourRooms-v0` (all of them Gymnasium environments too,
once this package is imported), `telos/Orbits-v0`, and `Reacher-v5` from pixels. Any other Gymnasium
environment that renders and has Box or Discrete actions works through `GymWorld`; a `GymAdapter` says what
Gymnasium cannot.
"""

import os
import sys

if sys.platform == "linux":  # read when mujoco is imported: draw without a screen unless told otherwise
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads cost more than they gain at 64 px

from telos.worlds.adapter import GymAdapter, GymGoal, random_action
from telos.worlds.distractors import MovingTexture, Television
from telos.worlds.gym_world import GymWorld
from telos.worlds.kepler import propagate
from telos.worlds.orbits import Nuisances, Orbits
from telos.worlds.registry import make, names, register
from telos.worlds.rooms import Rooms
from telos.worlds.rooms_gym import register_rooms

register_rooms()

__all__ = [
    "GymAdapter",
    "GymGoal",
    "GymWorld",
    "MovingTexture",
    "Nuisances",
    "Orbits",
    "Rooms",
    "Television",
    "make",
    "names",
    "propagate",
    "random_action",
    "register",
]
