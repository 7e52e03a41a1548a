"""A world whose goal is the value of a reading that the user gave, so that reaching it can be measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from telos.errors import NoTask, UnknownName
from telos.types import World


class Targeted:
    """`world`, except that every goal is to bring true readings to given values.

    Args:
        world: gives frames, readings and dynamics; its own goals are drawn and ignored.
        values: by reading, what it should be, `[k]`; NaN where any value will do.
        within: how near (Euclidean distance, in the reading's units) each must be.
    """

    def __init__(self, world: World, values: Mapping[str, Sequence[float]], *, within: float) -> None:
        if not within > 0:
            raise ValueError(f"--within must be positive; got {within}.")
        for name, value in values.items():
            if name not in world.readings:
                raise UnknownName(f"reading of {world.id}", name, world.readings)
            if len(value) != world.readings[name].size:
                raise ValueError(
                    f"--goal {name} must have {world.readings[name].size} values; got {len(value)}."
                )
        self._world, self._within = world, within
        self._values = {name: np.asarray(value, np.float32) for name, value in values.items()}
        self.id, self.num = world.id, world.num
        self.frame_shape, self.action_space = world.frame_shape, world.action_space
        self.readings, self.episode_steps = world.readings, world.episode_steps

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes; see `World`."""
        return self._world.reset(seeds, split=split, task=task)

    def step(self, actions: np.ndarray) -> np.ndarray:
        """One action per copy; see `World`."""
        return self._world.step(actions)

    def read(self) -> dict[str, np.ndarray]:
        """The true readings of the present."""
        return self._world.read()

    def layouts(self) -> np.ndarray:
        """An integer per copy."""
        return self._world.layouts()

    def goal_frames(self) -> np.ndarray:
        """`NoTask`: a value of a reading has no picture."""
        raise NoTask(f"{self.id}: the goal is a value of {', '.join(self._values)}, which has no picture.")

    def goal_readings(self) -> dict[str, np.ndarray]:
        """The given values alone, each `[num, k]`; NaN where any will do."""
        return {name: np.tile(value, (self.num, 1)) for name, value in self._values.items()}

    def reached(self) -> np.ndarray:
        """Whether every given reading is near enough now, bool `[num]`."""
        now = self._world.read()
        near = [
            np.linalg.norm(np.nan_to_num(now[name] - value), axis=-1) <= self._within
            for name, value in self._values.items()
        ]
        return np.logical_and.reduce(near)

    def close(self) -> None:
        """Free what the world holds."""
        self._world.close()
