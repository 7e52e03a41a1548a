"""A tiny world for the tests of data: a square that moves by the action; pixel (0, 0) counts the steps."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from telos.types import ActionSpace, Reading


class MovingSquare:
    """`num` copies of a 2x2 square in an 8x8 picture. The layout is the seed modulo 5."""

    def __init__(self, num: int = 3, *, size: int = 8, bad: str = "") -> None:
        self.id, self.num, self.bad = "test/MovingSquare", num, bad
        self.frame_shape = (size, size, 3)
        self.action_space = ActionSpace((-1.0, -1.0), (1.0, 1.0), max_norm=1.0)
        self.readings = {"agent_xy": Reading(2, "px"), "time": Reading(1, "steps")}
        self.episode_steps = 6

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        self._layout = np.array([seed % 5 for seed in seeds], np.int64)
        self._position = np.stack([np.random.default_rng(seed).uniform(0, 6, 2) for seed in seeds])
        self._time = np.zeros((self.num, 1))
        return self._render()

    def step(self, actions: np.ndarray) -> np.ndarray:
        self._position = np.clip(self._position + actions, 0, self.frame_shape[0] - 2)
        self._time += 1
        return self._render()

    def read(self) -> dict[str, np.ndarray]:
        position = self._position.astype(np.float32)
        if self.bad == "reading":
            position[1] = np.nan
        return {"agent_xy": position, "time": self._time.astype(np.float32)}

    def layouts(self) -> np.ndarray:
        return self._layout

    def goal_frames(self) -> np.ndarray:
        return self._render()

    def goal_readings(self) -> dict[str, np.ndarray]:
        return self.read()

    def reached(self) -> np.ndarray:
        return np.zeros(self.num, bool)

    def close(self) -> None:
        pass

    def _render(self) -> np.ndarray:
        frames = np.zeros((self.num, *self.frame_shape), np.uint8)
        for frame, (x, y), time in zip(frames, self._position.astype(int), self._time, strict=True):
            frame[y : y + 2, x : x + 2] = 255
            frame[0, 0] = int(time[0])
        if self.bad == "dtype":
            return frames.astype(np.float32)
        if self.bad == "shape":
            return frames[:, :-1]
        return frames
