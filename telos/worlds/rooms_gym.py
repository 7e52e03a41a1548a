"""Rooms as Gymnasium environments: single (`gymnasium.make`) and vectorised (`gymnasium.make_vec`).

Both step the same `Rooms`. Observations are frames, uint8 `[64, 64, 3]`. Actions are displacements in units
of the longest step, so they lie in [-1, 1] as Gymnasium recommends (`Rooms` itself takes pixels), or the
number of one of nine where they are discrete (`telos.worlds.rooms.MOVES`). The
reward is 1 on every step that ends at the goal and 0 on others; nothing terminates an episode, and the
time limit of 200 steps truncates it. `info` has the readings (`agent_xy`), the same of the goal
(`goal_agent_xy`), `layout`, `reached` and `in_hazard`; after a reset also `goal_frame`.

`reset(options={"split": "heldout"})` draws held-out layouts; `{"task": False}` starts without a goal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from telos.worlds.rooms import IDS, MAX_STEP, Rooms

_FPS = 20


class RoomsEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """One room as a Gymnasium environment; arguments as for `Rooms`."""

    metadata = {"render_modes": ["rgb_array"], "render_fps": _FPS}  # noqa: RUF012 (Gymnasium's own form)

    def __init__(
        self,
        world: str = "telos/TwoRooms-v0",
        *,
        render_mode: str | None = None,
        hazards: int = 0,
        hazard_radius: tuple[float, float] = (3.0, 6.0),
        hazards_visible: bool = True,
    ) -> None:
        self.rooms = Rooms(
            world, hazards=hazards, hazard_radius=hazard_radius, hazards_visible=hazards_visible
        )
        self.render_mode = render_mode
        self.observation_space, self.action_space = _spaces(self.rooms)
        self._task = True
        self._frame: np.ndarray | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """A new episode; `options` may hold `split` and `task`."""
        super().reset(seed=seed)
        split, self._task = _options(options)
        frame = self._frame = self.rooms.reset([_episode(self.np_random)], split=split, task=self._task)[0]
        info = _info(self.rooms, task=self._task, first=True)
        return frame, {name: values[0] for name, values in info.items()}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Move the dot by `action`: `[2]`, in units of the longest step, or the number of a discrete one."""
        frame = self._frame = self.rooms.step(_own(self.rooms, np.asarray(action)[None]))[0]
        info = _info(self.rooms, task=self._task)
        reward = float(info["reached"][0])
        return frame, reward, False, False, {name: values[0] for name, values in info.items()}

    def render(self) -> np.ndarray | None:
        """The present frame, where `render_mode` is "rgb_array"."""
        return None if self._frame is None or self.render_mode is None else self._frame.copy()


class RoomsVectorEnv(VectorEnv[np.ndarray, np.ndarray, np.ndarray]):
    """`num_envs` rooms stepped together; copy i of `reset(seed=s)` is `RoomsEnv` after `reset(seed=s + i)`.

    All copies end together after `max_episode_steps`; the next step starts new episodes and ignores the
    actions (Gymnasium's NEXT_STEP).
    """

    metadata = {  # noqa: RUF012 (Gymnasium's own form)
        "render_modes": ["rgb_array"],
        "render_fps": _FPS,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        world: str = "telos/TwoRooms-v0",
        *,
        max_episode_steps: int = 200,
        render_mode: str | None = None,
        hazards: int = 0,
        hazard_radius: tuple[float, float] = (3.0, 6.0),
        hazards_visible: bool = True,
    ) -> None:
        self.rooms = Rooms(
            world, num_envs, hazards=hazards, hazard_radius=hazard_radius, hazards_visible=hazards_visible
        )
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.single_observation_space, self.single_action_space = _spaces(self.rooms)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._max_steps = max_episode_steps
        self._steps = 0
        self._split, self._task = "train", True
        self._generators: list[np.random.Generator] = []

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """New episodes in all copies; `options` may hold `split` and `task`."""
        if seed is not None or not self._generators:
            per_copy = (
                [seed + i for i in range(self.num_envs)]
                if isinstance(seed, int)
                else list(seed or [None] * self.num_envs)
            )
            self._generators = [seeding.np_random(value)[0] for value in per_copy]
        self._split, self._task = _options(options)
        return self._start()

    def step(
        self, actions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move the dots by `actions`: `[num_envs, 2]`, in units of the longest step, or `[num_envs]`."""
        never = np.zeros(self.num_envs, dtype=bool)
        if self._steps == self._max_steps:
            frames, info = self._start()
            return frames, np.zeros(self.num_envs), never, never.copy(), info
        self._frames = self.rooms.step(_own(self.rooms, np.asarray(actions)))
        self._steps += 1
        info = _info(self.rooms, task=self._task)
        truncated = np.full(self.num_envs, self._steps == self._max_steps)
        return self._frames, info["reached"].astype(np.float64), never, truncated, _masked(info)

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The present frames, where `render_mode` is "rgb_array"."""
        return None if self.render_mode is None else tuple(self._frames.copy())

    def _start(self) -> tuple[np.ndarray, dict[str, Any]]:
        seeds = [_episode(generator) for generator in self._generators]
        self._frames = self.rooms.reset(seeds, split=self._split, task=self._task)
        self._steps = 0
        return self._frames, _masked(_info(self.rooms, task=self._task, first=True))


def register_rooms() -> None:
    """Make the Rooms worlds known to Gymnasium, single and vectorised."""
    for name in IDS:
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="telos.worlds.rooms_gym:RoomsEnv",
                vector_entry_point="telos.worlds.rooms_gym:RoomsVectorEnv",
                max_episode_steps=200,
                kwargs={"world": name},
            )


def _spaces(rooms: Rooms) -> tuple[gymnasium.Space, gymnasium.Space]:
    space = rooms.action_space
    actions = spaces.Discrete(space.dimension) if space.one_hot else spaces.Box(-1.0, 1.0, (2,), np.float32)
    return spaces.Box(0, 255, (64, 64, 3), dtype=np.uint8), actions


def _own(rooms: Rooms, actions: np.ndarray) -> np.ndarray:
    """Actions of `Rooms` `[num, A]` from Gymnasium's, `[num, 2]` or `[num]` numbers."""
    return np.eye(rooms.action_space.dimension)[actions] if rooms.action_space.one_hot else actions * MAX_STEP


def _episode(generator: np.random.Generator) -> int:
    return int(generator.integers(2**31))


def _options(options: dict[str, Any] | None) -> tuple[str, bool]:
    options = options or {}
    unknown = sorted(set(options) - {"split", "task"})
    if unknown:
        raise ValueError(f"options may hold 'split' and 'task'; got {', '.join(unknown)}.")
    return options.get("split", "train"), options.get("task", True)


def _info(rooms: Rooms, *, task: bool, first: bool = False) -> dict[str, np.ndarray]:
    info = {**rooms.read(), "layout": rooms.layouts(), "in_hazard": rooms.in_hazard()}
    info["reached"] = rooms.reached() if task else np.zeros(rooms.num, dtype=bool)
    if task:
        info.update({f"goal_{name}": values for name, values in rooms.goal_readings().items()})
        if first:
            info["goal_frame"] = rooms.goal_frames()
    return info


def _masked(info: dict[str, np.ndarray]) -> dict[str, Any]:
    """Gymnasium's vector form: beside each entry, which copies have it."""
    return info | {f"_{name}": np.ones(len(values), dtype=bool) for name, values in info.items()}
