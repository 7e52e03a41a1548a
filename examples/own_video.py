"""Recordings of one's own, mp4 and csv, become a world model that plans between two of their pictures.

    python examples/own_video.py [folder]

Needs `pip install 'telos[video]'`. The recordings are made here, from the built-in world, so that the
example runs anywhere; yours come from a camera. On the command line the import is

    telos data import --videos FOLDER/videos --table FOLDER/actions.csv --out FOLDER/data --reading xy=x,y
"""

import csv
import sys
from pathlib import Path

import av
import numpy as np
import torch

import telos

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "runs/own_video")
(folder / "videos").mkdir(parents=True, exist_ok=True)

# Twelve recordings: a video each, and one table with a row per frame.
world = telos.make("telos/TwoRooms-v0")
random = np.random.default_rng(0)
with (folder / "actions.csv").open("w", newline="") as file:
    table = csv.writer(file)
    table.writerow(["video", "step", "action_x", "action_y", "x", "y"])
    for take in range(12):
        frame = world.reset([take])[0]
        with av.open(folder / "videos" / f"take_{take:02}.mp4", "w") as video:
            stream = video.add_stream("libx264", rate=20, options={"crf": "18"})
            stream.width = stream.height = 64
            for step in range(80):
                if step % 10 == 0:
                    action = random.uniform(-1.5, 1.5, 2).astype(np.float32)
                table.writerow([f"take_{take:02}.mp4", step, *action, *world.read()["agent_xy"][0]])
                video.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
                frame = world.step(action[None])[0]
            video.mux(stream.encode())

imported = telos.import_videos(
    folder / "videos", folder / "actions.csv", folder / "data", readings={"xy": ["x", "y"]}
)
print(f"{imported.episodes} recordings, {imported.frames} frames, actions {imported.action_columns}")

model = telos.train(imported.store, telos.recipes.smoke(), folder / "run")
readout = model.readouts["xy"]
print(f"readout 'xy': off by {readout.error:.1f} on held-out recordings, from {readout.labels} labels")

# Plan from a recording's first picture to its last: which actions lead there?
recording = imported.store[0]
agent = telos.Agent(model)
agent.reach(recording.frames[-1])
action = agent.act(recording.frames[0])
print(f"first action {action}, energy of the plan {agent.records[0].energy[0]:.3g}")

# How surprising is what happened then, block by block? (The model reads a block's mean action, held.)
block = model.config.action_space.block
with torch.no_grad():
    seen = model.encode(telos.Observation.from_frames(recording.frames[::block].copy()))
    planned = torch.from_numpy(recording.actions[: len(seen) * block - block]).reshape(1, -1, block, 2)
    imagined = model.rollout(seen[:1], planned.mean(2)[:, None])
print("surprise:", telos.energy(imagined.states[0, 0, 0], model.moving(seen)).numpy().round(3))
