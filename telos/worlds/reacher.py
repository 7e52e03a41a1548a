"""Gymnasium's `Reacher-v5` (MuJoCo) from pixels: an example of `GymAdapter`, and a world to measure on.

The physics, frame skip and action bounds are Gymnasium's own; only what a camera sees, where episodes start
and what is asked are set here. Needs `pip install "telos[mujoco]"` and an OpenGL library; without a screen,
on Debian and Ubuntu: `apt-get install -y libegl1 libgl1`.
"""

from __future__ import annotations

import atexit
import importlib
import weakref
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import gymnasium
import numpy as np

from telos.errors import WorldError
from telos.types import Reading
from telos.worlds.adapter import GymAdapter, GymGoal

if TYPE_CHECKING:
    from gymnasium.envs.mujoco import MujocoEnv

_VIEW = 0.23  # m: half the width of the picture; the arm reaches 0.21 and its tip is 0.01 thick
_REACH = 0.21
_PIXELS = 128  # drawn at twice the size and averaged, so that sub-pixel motion shows


class ReacherAdapter(GymAdapter):
    """A two-link arm seen from above. The goal is a picture of the arm in another pose.

    Starts and goals are poses with both joint angles uniform over their range, at rest. Readings:
    `fingertip_xy` in metres (x right, y up in the picture), and `joint_angles` as (cos, sin) of the
    shoulder, then of the elbow. A goal is reached where the fingertip is within 0.05 m of the goal
    pose's. The target that Gymnasium's own task draws is hidden.
    """

    env: str | Callable[..., gymnasium.Env] = "Reacher-v5"
    readings: Mapping[str, Reading] = {
        "fingertip_xy": Reading(2, "m", (-_REACH, -_REACH), (_REACH, _REACH)),
        "joint_angles": Reading(4, "", (-1.0,) * 4, (1.0,) * 4),
    }
    tolerance: Mapping[str, float] = {"fingertip_xy": 0.05}

    def __init__(self) -> None:
        self._renderer: Any = None
        self._free: Callable[[], object] = lambda: None
        self._camera: Any = None

    def prepare(self, env: gymnasium.Env) -> None:
        """Hide the target and the walls, and switch off what a 64 px picture does not show."""
        model = _mujoco(env).model
        for name in ("target", "sideN", "sideE", "sideS", "sideW"):
            model.geom(name).rgba[3] = 0.0
        model.vis.quality.shadowsize = 0
        model.vis.quality.offsamples = 0
        model.vis.quality.numslices = 12
        model.vis.quality.numstacks = 8
        model.vis.quality.numquads = 1
        model.mat_reflectance[:] = 0.0
        model.light_castshadow[:] = 0

    def start(self, env: gymnasium.Env, rng: np.random.Generator) -> None:
        """A random pose, at rest."""
        robot = _mujoco(env)
        low, high = robot.model.joint("joint1").range
        position = robot.init_qpos.copy()
        position[:2] = rng.uniform([-np.pi, low], [np.pi, high])
        robot.set_state(position, np.zeros_like(robot.init_qvel))

    def draw_goal(self, env: gymnasium.Env, rng: np.random.Generator) -> GymGoal:
        """The picture and the readings of another random pose."""
        self.start(env, rng)
        return GymGoal(self.render(env), self.read(env))

    def render(self, env: gymnasium.Env) -> np.ndarray:
        """The arm from above, uint8 `[128, 128, 3]`; one renderer serves all copies."""
        robot = _mujoco(env)
        self._renderer = self._renderer or self._open(robot)
        self._renderer.update_scene(robot.data, self._camera)
        return self._renderer.render()

    def read(self, env: gymnasium.Env) -> dict[str, np.ndarray]:
        """Where the fingertip is and how the joints stand."""
        data = _mujoco(env).data
        angles = data.qpos[:2]
        return {
            "fingertip_xy": data.body("fingertip").xpos[:2].copy(),
            "joint_angles": np.stack([np.cos(angles), np.sin(angles)], axis=-1).ravel(),
        }

    def close(self) -> None:
        """Free the renderer."""
        self._free()
        self._renderer = None

    def _open(self, robot: MujocoEnv) -> Any:
        """The renderer and the camera, which frames the disc that the arm can reach."""
        mujoco: Any = importlib.import_module("mujoco")
        view = robot.model.vis.global_
        view.offwidth, view.offheight = _PIXELS, _PIXELS
        self._camera = mujoco.MjvCamera()
        self._camera.type = mujoco.mjtCamera.mjCAMERA_FREE
        self._camera.azimuth, self._camera.elevation = 90.0, -90.0
        self._camera.lookat[:] = 0.0
        self._camera.distance = _VIEW / np.tan(np.deg2rad(view.fovy / 2))
        try:
            renderer = mujoco.Renderer(robot.model, _PIXELS, _PIXELS)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise WorldError(
                f"MuJoCo could not open an OpenGL context: {error}. Install one (apt-get install -y libegl1 "
                "libgl1), or set MUJOCO_GL to egl, osmesa or glfw, whichever this machine has."
            ) from error
        # Also when the interpreter ends, before OpenGL does: one that is left to its destructor complains.
        self._free = weakref.finalize(self, renderer.close)
        self._free.atexit = False  # its own would run too late
        atexit.register(self._free)
        return renderer


def _mujoco(env: gymnasium.Env) -> MujocoEnv:
    return cast("MujocoEnv", env.unwrapped)
