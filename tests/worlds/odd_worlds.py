"""Small environments that the adapter tests use: one that is right, and several that are wrong."""

from __future__ import annotations

import gymnasium
import numpy as np
from gymnasium import spaces

from telos.types import ActionSpace, Reading
from telos.worlds import GymAdapter, GymGoal

BOX = spaces.Box(-1.0, 1.0, (2,), dtype=np.float32)


class Slider(gymnasium.Env):
    """A white square on 96 x 96 that moves by ten times the action; ends the episode at the right edge."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012
    observation_space = spaces.Box(0.0, 96.0, (2,), dtype=np.float64)
    action_space: gymnasium.Space = BOX

    def __init__(self, render_mode=None):
        self.render_mode = render_mode
        self.place = np.zeros(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place = self.np_random.uniform(20.0, 60.0, size=2)
        return self.place.copy(), {}

    def step(self, action):
        self.place = np.clip(self.place + 10.0 * np.asarray(action).ravel()[:2], 8.0, 88.0)
        return self.place.copy(), 0.0, bool(self.place[0] >= 88.0), False, {}

    def render(self):
        frame = np.zeros((96, 96, 3), dtype=np.uint8)
        x, y = np.rint(self.place).astype(int)
        frame[y - 8 : y + 8, x - 8 : x + 8] = 255
        return frame


class SliderAdapter(GymAdapter):
    """Names the square's place and asks for it to be in the middle."""

    env = Slider
    readings = {"place": Reading(2, "px", (8.0, 8.0), (88.0, 88.0))}  # noqa: RUF012
    tolerance = {"place": 3.0}  # noqa: RUF012
    episode_steps = 30

    def read(self, env):
        return {"place": env.unwrapped.place}

    def draw_goal(self, env, rng):
        env.unwrapped.place = np.array([48.0, 48.0])
        return GymGoal(self.render(env), self.read(env))


class Reusing(Slider):
    """The same in arrays that it changes in place, as MuJoCo has them."""

    def __init__(self, render_mode=None):
        self._place, self._frame = np.zeros(2), np.zeros((96, 96, 3), np.uint8)
        super().__init__(render_mode)

    @property
    def place(self):
        return self._place

    @place.setter
    def place(self, place):
        self._place[:] = place

    def render(self):
        self._frame[:] = super().render()
        return self._frame


class ReusingAdapter(GymAdapter):
    env = Reusing
    readings = SliderAdapter.readings
    tolerance = SliderAdapter.tolerance

    def read(self, env):
        return {"place": env.unwrapped.place[:]}


class OneArray(SliderAdapter):
    """One adapter serves all copies, and this one answers with the same two arrays each time."""

    def __init__(self):
        self.frame, self.numbers = np.zeros((96, 96, 3), np.uint8), np.zeros(2, np.float32)

    def render(self, env):
        self.frame[:] = env.render()
        return self.frame

    def read(self, env):
        self.numbers[:] = env.unwrapped.place
        return {"place": self.numbers}


class Legacy(Slider):
    """Draws its start as environments did before Gymnasium had generators."""

    def reset(self, *, seed=None, options=None):
        self.place = np.random.RandomState(seed).uniform(20.0, 60.0, size=2)
        return self.place.copy(), {}


class NotANumber(SliderAdapter):
    def read(self, env):
        return {"place": np.array([np.nan, 0.0])}


class OtherName(SliderAdapter):
    def read(self, env):
        return {"position": np.zeros(2)}


class Homeless(GymAdapter):
    pass


class Discrete(Slider):
    """Takes a number from 3 to 7: four directions, then to stay."""

    action_space = spaces.Discrete(5, start=3)

    def step(self, action):
        assert isinstance(action, int)
        assert action in self.action_space
        return super().step([(1, 0), (-1, 0), (0, 1), (0, -1), (0, 0)][action - 3])


class StayFirst(GymAdapter):
    env = Discrete
    actions = (7, 3, 4)  # stay, right, left


class NotThere(GymAdapter):
    env = Discrete
    actions = (0, 3)


class Many(Slider):
    action_space = spaces.MultiDiscrete([3, 3])


class Unbounded(Slider):
    action_space = spaces.Box(-np.inf, np.inf, (2,), dtype=np.float32)


class Blind(Slider):
    def render(self):
        return None


class FloatFrames(Slider):
    def render(self):
        return super().render() / 255.0


class GreyFrames(Slider):
    def render(self):
        return super().render()[..., 0]


class NoRenderMode(Slider):
    def __init__(self):
        super().__init__()


class Still:
    """A correct World, written without Gymnasium; the wrong ones below each break one thing."""

    id = "still"
    frame_shape = (8, 8, 3)
    action_space = ActionSpace((-1.0,), (1.0,))
    readings = {"level": Reading(1)}  # noqa: RUF012
    episode_steps = 5

    def __init__(self, num=1):
        self.num = num

    def reset(self, seeds, *, split="train", task=False):
        return np.zeros((self.num, *self.frame_shape), dtype=np.uint8)

    def step(self, actions):
        return np.ones((self.num, *self.frame_shape), dtype=np.uint8)

    def read(self):
        return {"level": np.zeros((self.num, 1), dtype=np.float32)}

    def layouts(self):
        return np.arange(self.num)

    def goal_frames(self):
        return self.reset([])

    def goal_readings(self):
        return self.read()

    def reached(self):
        return np.zeros(self.num, dtype=bool)

    def close(self):
        pass


class Tuned(Still):
    """A correct World that says what its id does not, and when it has ended."""

    settings = {"speed": 2}  # noqa: RUF012

    def ended(self):
        return np.arange(self.num) == 0


class OddSettings(Still):
    settings = 3


class NotBooleans(Tuned):
    def ended(self):
        return np.zeros(self.num)


class ChannelsFirst(Still):
    def reset(self, seeds, *, split="train", task=False):
        return np.zeros((self.num, 3, 8, 8), dtype=np.uint8)


class WrongCount(Still):
    def reset(self, seeds, *, split="train", task=False):
        return np.zeros((self.num + 1, 8, 8, 3), dtype=np.uint8)


class WrongType(Still):
    def reset(self, seeds, *, split="train", task=False):
        return np.zeros((self.num, 8, 8, 3), dtype=np.float32)


class Half:
    """Not a World at all."""

    def __init__(self, num=1):
        self.num = num


class NotANumberStill(Still):
    def read(self):
        return {"level": np.full((self.num, 1), np.nan)}


NOT_CALLABLE = 3
