"""The contract of a world, checked: for worlds that someone else wrote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telos.errors import WorldError
from telos.types import ActionSpace, Ends, Reading, World

_MEMBERS = {
    *("id", "num", "frame_shape", "action_space", "readings", "episode_steps", "reset", "step", "read"),
    *("layouts", "goal_frames", "goal_readings", "reached", "close"),
}


class Checked:
    """`world`, except that whatever breaks `telos.types.World`'s contract raises `WorldError`."""

    def __init__(self, world: World, *, id: str) -> None:
        if not isinstance(world, World):
            lacks = ", ".join(sorted(_MEMBERS - set(dir(world))))
            raise WorldError(f"{id} must be a telos.types.World; {type(world).__name__} lacks {lacks}.")
        self.world = world
        self.id = id
        self.num: int = world.num
        self.frame_shape: tuple[int, int, int] = world.frame_shape
        self.action_space: ActionSpace = world.action_space
        self.readings: Mapping[str, Reading] = world.readings
        self.episode_steps: int = world.episode_steps
        settings = getattr(world, "settings", None)
        if settings is not None and not isinstance(settings, Mapping):
            raise WorldError(
                f"{id}: settings must be a mapping of what the id does not say, which stores keep beside it; "
                f"got {type(settings).__name__}. Give that attribute another name."
            )
        self.settings: Mapping[str, Any] = settings or {}
        if len(self.frame_shape) != 3 or self.frame_shape[2] not in (1, 3):
            raise WorldError(f"{id}: frame_shape must be (H, W, C) with C 1 or 3; got {self.frame_shape}.")
        if not isinstance(self.action_space, ActionSpace) or self.action_space.block != 1:
            raise WorldError(
                f"{id}: action_space must be an ActionSpace with block 1; got {self.action_space}."
            )

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes; see `World`."""
        return self._frames("reset", self.world.reset(seeds, split=split, task=task))

    def step(self, actions: np.ndarray) -> np.ndarray:
        """One action per copy; see `World`."""
        return self._frames("step", self.world.step(actions))

    def read(self) -> dict[str, np.ndarray]:
        """The true readings of the present."""
        return check_readings(f"{self.id}: read", self.world.read(), self.readings, self.num)

    def layouts(self) -> np.ndarray:
        """An integer per copy."""
        return self._per_copy("layouts", self.world.layouts(), "iu", "integers")

    def goal_frames(self) -> np.ndarray:
        """How each goal looks."""
        return self._frames("goal_frames", self.world.goal_frames())

    def goal_readings(self) -> dict[str, np.ndarray]:
        """The true readings at each goal."""
        source = f"{self.id}: goal_readings"
        return check_readings(source, self.world.goal_readings(), self.readings, self.num)

    def reached(self) -> np.ndarray:
        """Whether each copy is at its goal now."""
        return self._per_copy("reached", self.world.reached(), "b", "booleans")

    def ended(self) -> np.ndarray:
        """Which copies have ended and are frozen, bool `[num]`; none where the world does not say."""
        if not isinstance(self.world, Ends):
            return np.zeros(self.num, dtype=bool)
        return self._per_copy("ended", self.world.ended(), "b", "booleans")

    def close(self) -> None:
        """Free what the world holds."""
        self.world.close()

    def _frames(self, method: str, frames: np.ndarray) -> np.ndarray:
        wanted = (self.num, *self.frame_shape)
        if not isinstance(frames, np.ndarray) or frames.shape != wanted or frames.dtype != np.uint8:
            raise WorldError(
                f"{self.id}: {method} must return uint8 frames {list(wanted)}, one [H, W, C] per copy; "
                f"got {described(frames)}."
            )
        return frames

    def _per_copy(self, method: str, values: np.ndarray, kinds: str, plural: str) -> np.ndarray:
        if (
            not isinstance(values, np.ndarray)
            or values.shape != (self.num,)
            or values.dtype.kind not in kinds
        ):
            raise WorldError(
                f"{self.id}: {method} must return an array of {self.num} {plural}; got {described(values)}."
            )
        return values


def check_episodes(seeds: Sequence[int], num: int, split: str) -> None:
    """`ValueError` where these are not `num` seeds, or there is no such split."""
    if len(seeds) != num or any(seed < 0 for seed in seeds):
        raise ValueError(f"seeds must be {num} integers of at least 0; got {list(seeds)}.")
    if split not in ("train", "heldout"):
        raise ValueError(f"split must be 'train' or 'heldout'; got '{split}'.")


def check_actions(actions: np.ndarray, num: int, space: ActionSpace) -> np.ndarray:
    """The actions as an array, or `ValueError`: finite numbers `[num, A]`, within the bounds or not."""
    actions = np.asarray(actions)
    finite = bool(np.isfinite(actions).all())
    if actions.shape != (num, space.dimension) or not finite:
        raise ValueError(
            f"actions must be finite numbers of shape [{num}, {space.dimension}]; got {list(actions.shape)}"
            f"{'' if finite else ' with NaN or infinite values'}."
        )
    return actions


def described(value: object) -> str:
    """What something is, for a message: dtype and shape of an array, the type of anything else."""
    if isinstance(value, np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    return type(value).__name__


def check_readings(
    source: str, readings: Mapping[str, np.ndarray], declared: Mapping[str, Reading], num: int
) -> dict[str, np.ndarray]:
    """Readings as float32 `[num, size]` each, or `WorldError`: as declared, finite, one row per copy."""
    if set(readings) != set(declared):
        raise WorldError(
            f"{source} must return exactly the declared readings ({', '.join(sorted(declared)) or 'none'}); "
            f"got {', '.join(sorted(readings)) or 'none'}."
        )
    checked = {name: np.asarray(readings[name], dtype=np.float32) for name in declared}
    for name, values in checked.items():
        wanted = (num, declared[name].size)
        if values.shape != wanted or not np.isfinite(values).all():
            raise WorldError(
                f"{source} must return finite numbers {list(wanted)} for '{name}'; got shape "
                f"{list(values.shape)}, {int((~np.isfinite(values)).sum())} of them not finite."
            )
    return checked
