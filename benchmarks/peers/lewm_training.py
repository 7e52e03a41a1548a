"""LeWM's training step (arXiv 2603.19312) as torch_world 0.2.0 and stable-worldmodel 0.1.1 have it, measured.

    python -m benchmarks.peers.lewm_training torch_world [--width N]
    python -m benchmarks.peers.lewm_training stable_worldmodel [--image N --patch N]
    ... [--batch N] [--threads N] [--steps N] [--precision bf16|fp32]

Each runs in its own environment (see `torch_world` and `stable_worldmodel` beside this file; the second also
needs `pip install h5py hdf5plugin`). Model and losses are the peer's own modules, and so is the data:

- torch_world: episodes of four steps made for every batch by its PointMass, as its front page trains; fp32.
- stable-worldmodel: its reader of HDF5 files with windows of four frames at a distance of five steps, through
  a DataLoader without worker processes, and the loss as its `scripts/train/lewm.py` adds it up. That script's
  transforms come from stable-pretraining, which is not needed here: frames that have the model's size already
  are only normalised, by the same arithmetic. It trains in bf16 by autocast and clips gradients at 1, which
  Lightning does for it; Lightning itself, which would only add to the time, is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.meter import StepMeter
from benchmarks.peers import stable_worldmodel, torch_world

FRAMES, ACTION = 4, 2
BLOCK = 5  # steps between two frames of stable-worldmodel's windows
SIGREG = 0.09  # its weight

Training = tuple[Any, Iterator[Any], Callable[[Any], Tensor], float | None]
"""A model, its batches, the loss of one, and where gradients are clipped."""


def of_torch_world(*, batch: int, width: int) -> Training:
    """Its front page's training."""
    model = torch_world.build(width=width).train()

    def batches() -> Iterator[dict[str, Tensor]]:
        while True:
            yield torch_world.episodes(batch, steps=FRAMES)

    return model, batches(), lambda given: model(given["pixels"], given["actions"])["loss"], None


def of_stable_worldmodel(folder: Path, *, batch: int, image: int, patch: int) -> Training:
    """Its script's training."""
    model = stable_worldmodel.build(size=BLOCK * ACTION, image=image, patch=patch).train()
    sigreg = stable_worldmodel.peer("stable_worldmodel.wm.loss").SIGReg(knots=17, num_proj=1024)
    history = stable_worldmodel.HISTORY

    def loss(given: dict[str, Tensor]) -> Tensor:
        given["action"] = torch.nan_to_num(given["action"], 0.0)
        output = model.encode(given)
        states, actions = output["emb"], output["act_emb"]
        predicted = model.predict(states[:, :history], actions[:, :history])
        error = (predicted - states[:, 1:]).pow(2).mean()
        return error + SIGREG * sigreg(states.transpose(0, 1))

    return model, windows(folder, batch=batch, image=image), loss, 1.0


def windows(folder: Path, *, batch: int, image: int) -> Iterator[dict[str, Tensor]]:
    """Windows of noise, by the peer's reader."""
    reader = stable_worldmodel.peer("stable_worldmodel.data.formats.hdf5")
    random = np.random.default_rng(0)
    with reader.HDF5Writer(folder / "noise.h5", mode="overwrite") as file:
        for _ in range(20):
            frames = random.integers(0, 256, (101, image, image, 3), np.uint8)
            actions = random.standard_normal((101, ACTION), np.float32)
            file.write_episode({"pixels": list(frames), "action": list(actions)})
    mean, std = (
        torch.tensor(part)[:, None, None] for part in (stable_worldmodel.MEAN, stable_worldmodel.STD)
    )

    def normalised(given: dict[str, Tensor]) -> dict[str, Tensor]:
        return {**given, "pixels": (given["pixels"].float() / 255 - mean) / std}

    data = reader.HDF5Dataset(
        path=folder / "noise.h5",
        frameskip=BLOCK,
        num_steps=FRAMES,
        transform=normalised,
        keys_to_load=["pixels", "action"],
        keys_to_cache=["action"],
    )
    generator = torch.Generator().manual_seed(0)
    loader = torch.utils.data.DataLoader(data, batch, shuffle=True, drop_last=True, generator=generator)
    while True:
        yield from loader


def measure(training: Training, *, batch: int, steps: int, half: bool) -> dict[str, Any]:
    """The figures, on the threads that torch has."""
    model, batches, loss_of, clip = training
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-5, weight_decay=1e-3)
    meter = StepMeter(steps=steps)
    while True:
        with meter.loading():
            given = next(batches)
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            loss = loss_of(given)
        optimiser.zero_grad()
        loss.backward()
        if clip is not None:
            torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
        optimiser.step()
        if meter.tick():
            break
    return {
        **meter.result(frames=batch * FRAMES),
        "parameters": sum(value.numel() for value in model.parameters()),
    }


def main() -> None:
    """Print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("peer", choices=("torch_world", "stable_worldmodel"))
    parser.add_argument("--width", type=int, default=64, help="numbers per embedding (torch_world)")
    parser.add_argument("--image", type=int, default=64, help="pixels a side (stable_worldmodel)")
    parser.add_argument("--patch", type=int, default=8, help="pixels a side (stable_worldmodel)")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--precision", choices=("bf16", "fp32"), required=True)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        if given.peer == "torch_world":
            training, packages = of_torch_world(batch=given.batch, width=given.width), ("torch_world",)
        else:
            training = of_stable_worldmodel(
                Path(folder), batch=given.batch, image=given.image, patch=given.patch
            )
            packages = ("stable-worldmodel", "transformers")
        found = measure(training, batch=given.batch, steps=given.steps, half=given.precision == "bf16")
    print(json.dumps({**found, "packages": {name: version(name) for name in ("torch", *packages)}}))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
