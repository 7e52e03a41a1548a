"""Any Gymnasium environment that renders pixels, with Box or Discrete actions, as a `telos.types.World`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import gymnasium
import numpy as np
from PIL import Image

from telos.errors import WorldError
from telos.types import ActionSpace, Reading
from telos.worlds.adapter import GymAdapter, GymGoal, choices
from telos.worlds.checked import check_actions, check_episodes, check_readings, described


class GymWorld:
    """`num` copies of a Gymnasium environment, stepped one after the other.

    Frames are area-averaged to `size` x `size` (not cropped: override `GymAdapter.render` for that).
    Gymnasium's time limit is not applied: an episode lasts as long as its caller steps it, and
    `episode_steps` says how long evaluation does. When the environment itself ends an episode
    (`terminated` or `truncated`) the copy freezes until the next reset: actions have no effect and the
    last frame repeats, which is how the world of a broken robot looks; `ended()` says which copies.

    Seed s makes the environment's own episode 2 s ("train") or 2 s + 1 ("heldout"), so that the two
    never share one, and that number is also the episode's layout. The environment is reset with it modulo
    2**32, the largest that numpy's `RandomState` takes, which leaves it even or odd as it was.

    Discrete actions are one-hot, as everywhere in telos; the environment gets their number, an int.

    Args:
        env: a registered Gymnasium id, or a class or function that makes an environment.
        num: how many copies.
        adapter: what the environment needs beyond Gymnasium's interface.
        size: height and width of the frames, in pixels.
        id: what the world calls itself; by default what names the environment.

    Raises:
        WorldError: it has neither a finite Box nor a Discrete action space, or does not render uint8
            `[H, W, 3]` frames.
    """

    def __init__(
        self,
        env: str | Callable[..., gymnasium.Env],
        num: int = 1,
        *,
        adapter: GymAdapter | None = None,
        size: int = 64,
        id: str | None = None,
    ) -> None:
        if num < 1 or size < 1:
            raise ValueError(f"num and size must be at least 1; got {num} and {size}.")
        self.id = id or (env if isinstance(env, str) else f"{env.__module__}:{env.__qualname__}")
        self.num = num
        self.frame_shape: tuple[int, int, int] = (size, size, 3)
        self._adapter = adapter or GymAdapter()
        self._envs = [self._build(env) for _ in range(num)]
        self._space = self._envs[0].action_space
        self.action_space = _action_space(self.id, self._space, self._adapter)
        self.readings: Mapping[str, Reading] = dict(self._adapter.readings)
        self.episode_steps = self._adapter.episode_steps or _time_limit(self._envs[0]) or 200
        self._layouts: np.ndarray | None = None
        self._goals: list[GymGoal] = []
        for copy in self._envs:
            self._adapter.prepare(copy)
        self._probe()

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes, one per seed; the first frames. With `task` each gets a goal as well."""
        check_episodes(seeds, self.num, split)
        episodes = [2 * int(seed) + (split == "heldout") for seed in seeds]
        self._layouts = np.array(episodes, dtype=np.int64)
        self._goals = []
        for env, episode in zip(self._envs, episodes, strict=True):
            if task:
                self._begin(env, episode)
                self._goals.append(self._checked(self._adapter.draw_goal(env, _rng(episode, 1))))
            self._begin(env, episode)
        self._ended = np.zeros(self.num, dtype=bool)
        self._frames = np.stack([self._render(env) for env in self._envs])
        self._first = self._frames
        return self._frames.copy()

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Execute one action per copy, float `[num, A]`, the nearest that is allowed; the next frames."""
        if self._layouts is None:
            raise ValueError("reset must be called before step.")
        actions = check_actions(actions, self.num, self.action_space)
        self._frames = self._frames.copy()
        for i in np.flatnonzero(~self._ended):
            env = self._envs[i]
            _, _, terminated, truncated, _ = env.step(self._own(actions[i]))
            self._frames[i] = self._render(env)
            self._ended[i] = bool(terminated) or bool(truncated)
        return self._frames.copy()

    def read(self) -> dict[str, np.ndarray]:
        """The adapter's true readings of the present, each float32 `[num, size]`."""
        return self._stack(self._adapter.read(env) for env in self._envs)

    def layouts(self) -> np.ndarray:
        """The number of each copy's episode, int64 `[num]`: each is a layout of its own."""
        if self._layouts is None:
            raise ValueError("reset must be called before layouts.")
        return self._layouts.copy()

    def goal_frames(self) -> np.ndarray:
        """How each goal looks, uint8 `[num, size, size, 3]`."""
        return np.stack([goal.frame for goal in self._present_goals()])

    def goal_readings(self) -> dict[str, np.ndarray]:
        """The true readings at each goal, each float32 `[num, size]`."""
        return self._stack(goal.readings for goal in self._present_goals())

    def reached(self) -> np.ndarray:
        """Whether each copy is at its goal now, bool `[num]`, as the adapter judges it."""
        copies = zip(self._envs, self._present_goals(), self._first, self._frames, strict=True)
        return np.array(
            [
                bool(self._adapter.reached(env, goal, (first, now, goal.frame)))
                for env, goal, first, now in copies
            ]
        )

    def ended(self) -> np.ndarray:
        """Which copies the environment has ended and are frozen, bool `[num]`."""
        return self._ended.copy()

    def close(self) -> None:
        """Close the environments and the adapter."""
        for env in self._envs:
            env.close()
        self._adapter.close()

    def _own(self, action: np.ndarray) -> np.ndarray | int:
        """What the environment's `step` takes for an action `[A]`."""
        if isinstance(self._space, gymnasium.spaces.Discrete):
            return int(choices(self._space, self._adapter.actions)[action.argmax()])
        bounded = np.clip(action, self.action_space.low, self.action_space.high)
        return bounded.astype(self._space.dtype).reshape(self._space.shape or ())

    def _build(self, env: str | Callable[..., gymnasium.Env]) -> gymnasium.Env:
        options = {"render_mode": "rgb_array", **self._adapter.options}
        try:
            if isinstance(env, str):
                return gymnasium.make(env, disable_env_checker=True, max_episode_steps=-1, **options)
            return env(**options)
        except TypeError as error:
            raise WorldError(
                f"{self.id} must accept {', '.join(sorted(options))}; it said: {error}. Give the class a "
                "render_mode argument as Gymnasium asks, or correct GymAdapter.options."
            ) from error
        except (ImportError, AttributeError, gymnasium.error.DependencyNotInstalled) as error:
            raise WorldError(
                f"{self.id} could not be made: {error}. If a package is missing, install it; MuJoCo's need "
                'pip install "telos[mujoco]" and OpenGL (apt-get install -y libegl1 libgl1).'
            ) from error

    def _probe(self) -> None:
        """Look at one frame and its readings, so that a broken world is told of before it is used."""
        self._begin(self._envs[0], 0)
        try:
            self._render(self._envs[0])
        except gymnasium.error.DependencyNotInstalled as error:
            raise WorldError(f"{self.id} could not render: {error}") from error
        self._stack([self._adapter.read(self._envs[0])])

    def _begin(self, env: gymnasium.Env, episode: int) -> None:
        env.reset(seed=episode % 2**32)
        self._adapter.start(env, _rng(episode, 0))

    def _render(self, env: gymnasium.Env) -> np.ndarray:
        return self._shrunk(self._adapter.render(env))

    def _shrunk(self, frame: np.ndarray) -> np.ndarray:
        """A checked frame of its own, averaged to the size asked for."""
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8 or frame.shape[2:] != (3,):
            raise WorldError(
                f"{self.id} must render one uint8 frame [H, W, 3] in render_mode 'rgb_array'; got "
                f"{described(frame)}. Override GymAdapter.render to convert what it gives."
            )
        size = self.frame_shape[0]
        if frame.shape[:2] == (size, size):
            return frame.copy()  # an environment may draw into the same array again
        return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BOX))

    def _checked(self, goal: GymGoal) -> GymGoal:
        if not isinstance(goal, GymGoal):
            raise WorldError(f"{self.id}: draw_goal must return a GymGoal; got {type(goal).__name__}.")
        # Readings may be views of what the environment goes on changing.
        readings = {name: np.array(value) for name, value in goal.readings.items()}
        return GymGoal(self._shrunk(goal.frame), readings)

    def _present_goals(self) -> list[GymGoal]:
        if not self._goals:
            raise ValueError("there is no goal; call reset(..., task=True) first.")
        return self._goals

    def _stack(self, rows: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Checked readings, one row per copy, each copied before the next one is read."""
        each = []
        for row in rows:
            alone = {name: np.array(value)[None] for name, value in row.items()}
            each.append(check_readings(f"{self.id}: GymAdapter.read", alone, self.readings, 1))
        return {name: np.concatenate([row[name] for row in each]) for name in self.readings}


def _rng(episode: int, use: int) -> np.random.Generator:
    return np.random.default_rng([episode, use])


def _time_limit(env: gymnasium.Env) -> int | None:
    """The episode length that Gymnasium has registered for an environment."""
    if env.spec is None or env.spec.id not in gymnasium.registry:
        return None
    return gymnasium.registry[env.spec.id].max_episode_steps


def _action_space(id: str, space: gymnasium.Space, adapter: GymAdapter) -> ActionSpace:
    if isinstance(space, gymnasium.spaces.Discrete):
        numbers = choices(space, adapter.actions)
        if not len(numbers) or len({*numbers}) < len(numbers) or not all(space.contains(i) for i in numbers):
            raise WorldError(
                f"{id}: GymAdapter.actions must be different numbers of {space}; got {adapter.actions}."
            )
        return ActionSpace.discrete(len(numbers))
    if not isinstance(space, gymnasium.spaces.Box):
        raise WorldError(
            f"{id} must have a Box or a Discrete action space; got {space}. Wrap the environment so that it "
            "takes a vector or a number (gymnasium.ActionWrapper)."
        )
    low, high = adapter.action_bounds or (space.low.ravel().tolist(), space.high.ravel().tolist())
    if not np.isfinite([*low, *high]).all():
        raise WorldError(
            f"{id} must have finite action bounds; got low={list(low)}, high={list(high)}. Set "
            "GymAdapter.action_bounds to the range worth exploring."
        )
    if len(low) != len(high) or len(low) != int(np.prod(space.shape)):
        raise WorldError(
            f"{id}: GymAdapter.action_bounds must have {int(np.prod(space.shape))} numbers each; "
            f"got {len(low)} and {len(high)}."
        )
    return ActionSpace(tuple(map(float, low)), tuple(map(float, high)))
