"""How to act when there is nothing to do but explore: policies that only know the action space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from telos.types import ActionSpace


class ExplorationPolicy(Protocol):
    """The actions of one episode, decided in advance: the same for the same generator state."""

    def __call__(self, space: ActionSpace, length: int, generator: np.random.Generator) -> np.ndarray:
        """Actions float32 `[length, A]`, inside the space."""
        ...


@dataclass(frozen=True)
class Uniform:
    """Each action drawn anew, uniformly from the box (and then brought inside `max_norm`), or of all n."""

    def __call__(self, space: ActionSpace, length: int, generator: np.random.Generator) -> np.ndarray:
        """Actions float32 `[length, A]`."""
        low, high = np.array(space.low), np.array(space.high)
        return _project(space, generator.uniform(low, high, (length, space.dimension)))


@dataclass(frozen=True)
class Persistent:
    """A persistent random walk: a random direction and magnitude, held for a random time, drifting a little.

    `hold` is the shortest and longest time in steps; its logarithm is uniform between them. A part
    `pause` of the holds has a magnitude of at most a tenth of the bound, a part `full` has the whole
    bound, and the others are uniform between. `drift` is the standard deviation of the direction's
    change per step (a random walk on the sphere, in radians for two dimensions). `share` draws the bounds
    in: a world whose strongest actions lead where no task is, is explored gently.

    In a discrete space that is: a random action, each as likely, held for a random time; a drifting direction
    may come nearer to another one. Magnitudes, and so `pause` and `full`, make no difference.
    """

    hold: tuple[int, int] = (2, 32)
    pause: float = 0.1
    full: float = 0.3
    drift: float = 0.1
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.hold[0] <= self.hold[1]:
            raise ValueError(
                f"hold must be a shortest and a longest time of at least 1 step; got {self.hold}."
            )
        if self.pause < 0 or self.full < 0 or self.pause + self.full > 1:
            raise ValueError(
                "pause and full must be parts that add up to at most 1; "
                f"got pause={self.pause}, full={self.full}."
            )
        if self.drift < 0:
            raise ValueError(f"drift must not be negative; got {self.drift}.")

    def __call__(self, space: ActionSpace, length: int, generator: np.random.Generator) -> np.ndarray:
        """Actions float32 `[length, A]`."""
        space = space.within(self.share)
        most = length // self.hold[0] + 1
        times = np.exp(generator.uniform(np.log(self.hold[0]), np.log(self.hold[1] + 1), most)).astype(int)
        magnitude = generator.uniform(0.1, 1.0, most)
        kind = generator.random(most)
        magnitude = np.where(kind < self.pause, magnitude / 10, magnitude)
        magnitude = np.where(kind > 1 - self.full, 1.0, magnitude)
        holds = int(np.searchsorted(np.cumsum(times), length)) + 1
        walk = [_unit(generator.standard_normal((holds, space.dimension)))]
        for _ in range(1, int(times[:holds].max())):
            walk.append(_unit(walk[-1] + self.drift * generator.standard_normal((holds, space.dimension))))
        held = np.arange(len(walk))[None] < times[:holds, None]
        direction = np.stack(walk, axis=1)[held][:length]
        magnitude = np.repeat(magnitude[:holds], times[:holds])[:length, None]
        centre = space.centre(torch.empty(0, dtype=torch.float64)).numpy()
        half = (np.array(space.high) - np.array(space.low)) / 2
        if space.max_norm is None:
            direction = direction / np.abs(direction).max(axis=1, keepdims=True) * half
        else:
            direction = direction * space.max_norm
        return _project(space, centre + magnitude * direction)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)


def _project(space: ActionSpace, actions: np.ndarray) -> np.ndarray:
    return space.project(torch.from_numpy(actions)).float().numpy()
