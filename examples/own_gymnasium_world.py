"""A Gymnasium environment of one's own, from its pixels to a plan: what has to be written is the adapter.

    python examples/own_gymnasium_world.py [folder]

On the command line the same goes with `--world own_gymnasium_world:CartAdapter` in this folder.
"""

import sys
from dataclasses import replace

import gymnasium
import numpy as np
from gymnasium import spaces

import telos
from telos import GymAdapter, GymWorld, Reading
from telos.perception import Keypoints
from telos.training import Optimisation


class Cart(gymnasium.Env):
    """A cart on a rail, seen from the side; the action pushes it, and friction slows it down."""

    metadata = {"render_modes": ["rgb_array"]}  # noqa: RUF012  (Gymnasium's own convention)
    action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
    observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)

    def __init__(self, render_mode: str = "rgb_array") -> None:
        self.render_mode = render_mode

    def reset(self, *, seed=None, options=None):
        """The cart stands somewhere."""
        super().reset(seed=seed)
        self.place, self.speed = self.np_random.uniform(6, 58), 0.0
        return np.array([self.place, self.speed], np.float32), {}

    def step(self, action):
        """Push."""
        self.speed = 0.6 * self.speed + 2.0 * float(action[0])
        self.place = float(np.clip(self.place + self.speed, 6, 58))
        return np.array([self.place, self.speed], np.float32), 0.0, False, False, {}

    def render(self):
        """What the camera sees."""
        frame = np.full((64, 64, 3), 230, np.uint8)
        frame[44:46] = (90, 90, 90)
        left = round(self.place) - 5
        frame[34:44, left : left + 10] = (200, 60, 40)
        return frame


class CartAdapter(GymAdapter):
    """What Gymnasium cannot say: the named reading, and when a goal is reached."""

    env = Cart
    readings = {"place": Reading(1, "px", (6.0,), (58.0,))}  # noqa: RUF012
    tolerance = {"place": 2.0}  # noqa: RUF012
    episode_steps = 40

    def read(self, env):
        """Where the cart is."""
        return {"place": np.array([env.unwrapped.place])}


folder = sys.argv[1] if len(sys.argv) > 1 else "runs/own_gymnasium_world"

world = GymWorld(Cart, num=8, adapter=CartAdapter())
store = telos.collect(world, f"{folder}/data", episodes=128, seed=0)

# A recipe is typed configuration; this one sees two frames at a time, because one does not show a speed.
small = telos.recipes.smoke()
steps = Optimisation(steps=200, batch=32, warmup=20)
recipe = replace(
    small,
    name="cart",
    architecture=replace(small.architecture, frames=2, perception=Keypoints(scene_channels=0)),
    representation=replace(small.representation, optimisation=steps),
    prediction=replace(small.prediction, optimisation=steps),
    heads=replace(small.heads, labels=300, readout_steps=300),
)
model = telos.train(store, recipe, folder)

agent = telos.Agent(model)
frames = world.reset(seeds=range(8), split="heldout", task=True)
agent.reach_reading("place", world.goal_readings()["place"], scale=5.0)
for _ in range(world.episode_steps):
    frames = world.step(agent.act(frames))
off = np.abs(world.read()["place"] - world.goal_readings()["place"])[:, 0]
print(f"off by {off.mean():.1f} px on average after {world.episode_steps} steps; reached: {world.reached()}")

result = telos.evaluate(model, world, tasks=8)
print(f"success {result.success:.0%}, no-op floor {result.noop:.0%}, random floor {result.random:.0%}")
