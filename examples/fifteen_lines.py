"""The main job in fifteen lines, at a size that takes seconds: collect, train, plan, evaluate.

`recipes.smoke()` trains far too little to reach a goal; `recipes.rooms()` is the real one.

    python examples/fifteen_lines.py [folder]
"""

import sys

import telos

folder = sys.argv[1] if len(sys.argv) > 1 else "runs/fifteen_lines"

world = telos.make("telos/TwoRooms-v0", num=8)
store = telos.collect(world, f"{folder}/data", episodes=32, length=64, seed=0)
model = telos.train(store, telos.recipes.smoke(), folder)

zone = telos.keep_out(model.readouts["agent_xy"], telos.Disc((32, 32), 6))
agent = telos.Agent(model, guardrails=[zone])
frames = world.reset(seeds=range(8), split="heldout", task=True)
agent.reach(world.goal_frames(), effort=0.01)
for _ in range(40):
    frames = world.step(agent.act(frames))
print("at the goal:", world.reached(), "planning:", agent.usage)

result = telos.evaluate(model, "telos/TwoRooms-v0", tasks=4)
print(f"success {result.success:.0%}, 95 % interval {result.interval}, no-op floor {result.noop:.0%}")
