"""Rendered steps per CPU-second of the built-in worlds: `python -m benchmarks.world`.

CPU time is user and system time of all threads of the process. Each figure is the median of five rounds;
a round steps all copies with random actions, dynamics and rendering included, resets left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics

import numpy as np

from benchmarks.meter import cpu_seconds
from telos.types import World
from telos.worlds import make

_ROUNDS = 5


def frames_per_cpu_second(world: World, *, steps: int) -> float:
    """The median over rounds of frames that `world` renders per CPU-second, `steps` steps a round."""
    space = world.action_space
    rng = np.random.default_rng(0)
    actions = rng.uniform(space.low, space.high, size=(64, world.num, space.dimension)).astype(np.float32)
    rates = []
    for seed in range(_ROUNDS):
        world.reset(range(seed * world.num, (seed + 1) * world.num))
        world.step(actions[0])  # a renderer starts up with its first frame
        began = cpu_seconds()
        for step in range(steps):
            world.step(actions[step % len(actions)])
        rates.append(steps * world.num / max(cpu_seconds() - began, 1e-9))
    return statistics.median(rates)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds instead of half a minute")
    quick = parser.parse_args().quick
    result: dict[str, float | int] = {"copies": 64}
    names = {"": "telos/TwoRooms-v0", "four_rooms_": "telos/FourRooms-v0"}
    for prefix, name in names.items():
        rate = frames_per_cpu_second(make(name, 64), steps=500 if quick else 5_000)
        result[f"{prefix}frames_per_cpu_second"] = round(rate)
    names = {"television_": "telos/TwoRoomsTelevision-v0", "background_": "telos/TwoRoomsBackground-v0"}
    for prefix, name in names.items():
        rate = frames_per_cpu_second(make(name, 64), steps=100 if quick else 1_000)
        result[f"{prefix}frames_per_cpu_second"] = round(rate)
    rate = frames_per_cpu_second(make("telos/Orbits-v0", 64), steps=50 if quick else 500)
    result["orbits_frames_per_cpu_second"] = round(rate)
    if importlib.util.find_spec("mujoco") is not None:
        world = make("Reacher-v5", 16)
        rate = frames_per_cpu_second(world, steps=50 if quick else 200)
        world.close()
        result["reacher_frames_per_cpu_second"] = round(rate)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
