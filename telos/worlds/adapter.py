"""What a world needs beyond Gymnasium's interface: the one small class that a user writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np

from telos.types import Reading


@dataclass(frozen=True)
class GymGoal:
    """A goal of one copy: how it looks (uint8 `[H, W, 3]`) and its true readings, by name."""

    frame: np.ndarray
    readings: Mapping[str, np.ndarray] = field(default_factory=dict)


class GymAdapter:
    """Tells `GymWorld` what Gymnasium cannot: readings, starts, goals, and what to hide.

    Every attribute and method has a default, so the class works as it is; override what the
    environment needs. One adapter serves all copies and keeps nothing about an episode: `env` always
    comes as an argument, and all randomness from `rng`.

    Attributes:
        env: the environment that the adapter is for, as `GymWorld` takes it; with it,
            `make("package.module:Adapter")` and `--world package.module:Adapter` work.
        options: keyword arguments for `gymnasium.make` (or for the environment's class), such as
            `{"width": 64, "height": 64}` for MuJoCo's: rendering small is much faster than shrinking.
        readings: the named quantities that `read` gives.
        tolerance: how near (Euclidean distance, in the reading's units) each named reading must be to
            the goal's for the goal to count as reached.
        episode_steps: the length of an episode; None takes the environment's own time limit, or 200.
        action_bounds: (low, high), each one number per action, for environments whose bounds are
            infinite; None takes the environment's.
        actions: for environments with discrete actions, the numbers of those that may be taken, in telos'
            order: the first one is what counts as doing nothing. None takes all, as they are numbered.
        goal_steps: (least, most) steps of a random policy from the start to a default goal.
    """

    env: str | Callable[..., gymnasium.Env] = ""
    options: Mapping[str, Any] = {}
    readings: Mapping[str, Reading] = {}
    tolerance: Mapping[str, float] = {}
    episode_steps: int | None = None
    action_bounds: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    actions: tuple[int, ...] | None = None
    goal_steps: tuple[int, int] = (10, 30)

    def prepare(self, env: gymnasium.Env) -> None:
        """Called once per copy, before anything else: hide markers, place the camera."""

    def start(self, env: gymnasium.Env, rng: np.random.Generator) -> None:
        """Change the start of an episode, right after `env.reset`; by default it stays."""

    def render(self, env: gymnasium.Env) -> np.ndarray:
        """The present frame, uint8 `[H, W, 3]`; by default what `env.render()` gives."""
        return env.render()  # type: ignore[return-value]  # GymWorld checks what comes back

    def read(self, env: gymnasium.Env) -> Mapping[str, np.ndarray]:
        """The true readings of the present, each `[size]`, as `readings` declares them."""
        return {}

    def draw_goal(self, env: gymnasium.Env, rng: np.random.Generator) -> GymGoal:
        """A goal for the episode that `env` has just started; it may step and change `env` freely.

        Afterwards the environment is reset to the same start. The default is a frame that a random
        policy, which holds each action for five steps, reaches from there: a goal that exists.
        """
        frame, readings = self._seen(env)
        action = None
        for step in range(rng.integers(self.goal_steps[0], self.goal_steps[1] + 1)):
            if step % 5 == 0:
                action = random_action(env, self.action_bounds, rng, actions=self.actions)
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                break
            frame, readings = self._seen(env)
        return GymGoal(frame, readings)

    def reached(self, env: gymnasium.Env, goal: GymGoal, frames: tuple[np.ndarray, ...]) -> bool:
        """Whether the episode is at its goal now; `frames` are the first, the present and the goal's.

        By default: all readings in `tolerance` are that near to the goal's. Without any, the present
        frame must differ from the goal's by at most a quarter of what the first one did (mean
        absolute difference): crude, but it asks for what moves in the picture to be where it should.
        """
        if self.tolerance:
            now = self.read(env)
            return all(
                bool(np.linalg.norm(np.asarray(now[name]) - goal.readings[name]) < limit)
                for name, limit in self.tolerance.items()
            )
        first, present, wanted = (frame.astype(np.float32) for frame in frames)
        return bool(np.abs(present - wanted).mean() <= 0.25 * np.abs(first - wanted).mean())

    def close(self) -> None:
        """Free what the adapter holds."""

    def _seen(self, env: gymnasium.Env) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Copies of the present frame and readings: what the environment shows may be its own arrays."""
        readings = {name: np.array(value) for name, value in self.read(env).items()}
        return np.array(self.render(env)), readings


def random_action(
    env: gymnasium.Env,
    bounds: tuple[tuple[float, ...], tuple[float, ...]] | None,
    rng: np.random.Generator,
    *,
    actions: tuple[int, ...] | None = None,
) -> np.ndarray | int:
    """A uniform action of an environment, as its `step` takes it: an array, or a discrete one's number."""
    space = env.action_space
    if isinstance(space, gymnasium.spaces.Discrete):
        return int(rng.choice(choices(space, actions)))
    assert isinstance(space, gymnasium.spaces.Box)
    low, high = bounds if bounds is not None else (space.low.ravel(), space.high.ravel())
    return rng.uniform(low, high).astype(space.dtype).reshape(space.shape)


def choices(space: gymnasium.spaces.Discrete, actions: tuple[int, ...] | None) -> np.ndarray:
    """The numbers of the discrete actions that may be taken: `actions`, or all of them."""
    return np.array(space.start + np.arange(space.n) if actions is None else actions)
