"""A robot's loop without Gymnasium: a camera, a motor, a goal picture, a guardrail and a deadline.

    python examples/robot_loop.py [folder]

`Robot` stands for your hardware: it only has a camera and a motor. (Here it is the built-in world.)
"""

import sys
import time

import numpy as np

import telos


class Robot:
    """A camera and a motor."""

    def __init__(self) -> None:
        self._world = telos.make("telos/TwoRooms-v0")
        self._frame = self._world.reset([7])[0]

    def camera(self) -> np.ndarray:
        """The newest picture, uint8 [H, W, C]."""
        return self._frame

    def move(self, action: np.ndarray) -> None:
        """Execute one action `[A]`."""
        self._frame = self._world.step(action[None])[0]


folder = sys.argv[1] if len(sys.argv) > 1 else "runs/robot_loop"

# Experience was recorded before (see own_video.py for recordings) and a model was trained on it.
recorded = telos.collect(telos.make("telos/TwoRooms-v0", num=8), f"{folder}/data", episodes=32, seed=0)
model = telos.train(recorded, telos.recipes.smoke(), folder)

robot = Robot()
goal = recorded[0].frames[-1]  # a picture of how it should look
zone = telos.keep_out(model.readouts["agent_xy"], telos.Disc((20, 20), 5))
agent = telos.Agent(model, guardrails=[zone], safe_action=[0.0, 0.0])
agent.reach(goal, effort=0.01, deadline=0.2)  # seconds per plan

for step in range(20):
    began = time.perf_counter()
    robot.move(agent.act(robot.camera()))
    if agent.records[-1].step == step:
        record = agent.records[-1]
        print(
            f"step {step}: planned in {time.perf_counter() - began:.3f} s, {record.status[0].value}, "
            f"energy {record.energy[0]:.3g}, worst predicted violation {record.violation[0]:.2g} px"
            + (", did the safe action instead" if record.safe[0] else "")
        )
