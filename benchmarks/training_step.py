"""The first steps of `telos.train`, measured: what `benchmarks.training` runs in a process of its own.

    python -m benchmarks.training_step NAME [--steps N] [--threads N] [--precision bf16|fp32] [--batch N]

NAME is a shape of `benchmarks.training_shapes` or a recipe. Windows from a store on disk, encoder,
predictor, losses, gradients, AdamW, metrics: all that the first stage does, none of it changed. The clock is
looked at when windows are drawn and when a step has ended. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from torch import Tensor

import telos
from benchmarks.meter import Enough, StepMeter, cpu_seconds
from benchmarks.training_shapes import collected, noise, recipe_of, shapes
from telos.data import EpisodeStore
from telos.model import Model, bf16_is_fast
from telos.training.batches import BlockWindows
from telos.training.config import Recipe


def measure(name: str, *, steps: int, precision: str, batch: int | None, episodes: int) -> dict[str, Any]:
    """The figures, on the threads that torch has. `ValueError` if the recipe has too few steps."""
    recipe = recipe_of(name, batch=batch)
    stage = recipe.representation
    assert stage is not None
    if steps >= stage.optimisation.steps:
        raise ValueError(
            f"steps must be less than the {stage.optimisation.steps} that the recipe trains; got {steps}."
        )
    with tempfile.TemporaryDirectory() as folder:
        start = cpu_seconds()
        if name in shapes():
            store = noise(Path(folder) / "data", shapes()[name].frame_shape)
        else:
            store = collected(Path(folder) / "data", recipe, episodes=episodes)
        collecting = (cpu_seconds() - start) / store.num_frames
        half = precision == "bf16"
        with mock.patch("telos.model.bf16_is_fast", return_value=half):
            meter, model = trained(store, recipe, Path(folder) / "run", steps=steps)
    frames = stage.optimisation.batch * (stage.horizon + 1) * recipe.architecture.frames
    found = meter.result(frames=frames)
    if name not in shapes():
        # Every collected frame is trained on several times.
        plan, seen = recipe.collection, frames * stage.optimisation.steps
        found["collecting_cpu_seconds_per_frame"] = collecting * plan.episodes * (plan.length + 1) / seen
    parts = (model.encoder, model.predictor, *([model.inverse] if model.inverse else []))
    return {
        **found,
        "parameters": sum(value.numel() for part in parts for value in part.parameters()),
        "precision": precision,
        "batch": stage.optimisation.batch,
        "packages": {"torch": torch.__version__, "telos": telos.__version__},
    }


def trained(store: EpisodeStore, recipe: Recipe, folder: Path, *, steps: int) -> tuple[StepMeter, Model]:
    """A meter of the first `steps` steps after the very first, and the model that they trained."""
    meter, models = StepMeter(steps=steps), []
    sample, made = BlockWindows.sample, Model.__init__

    def timed(windows: BlockWindows, *given: Any) -> tuple[Tensor, Tensor]:
        with meter.loading():
            return sample(windows, *given)

    def kept(model: Model, *arguments: Any) -> None:
        made(model, *arguments)
        models.append(model)

    def progress(stage: str, done: int, total: int, **values: float) -> None:
        if meter.tick():
            raise Enough

    with (
        contextlib.suppress(Enough),
        mock.patch.object(BlockWindows, "sample", timed),
        mock.patch.object(Model, "__init__", kept),
    ):
        telos.train(store, recipe, folder, progress=progress)
    return meter, models[0]


def main() -> None:
    """Print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=("bf16", "fp32"), help="by default telos' own choice")
    parser.add_argument("--batch", type=int, help="instead of the recipe's")
    parser.add_argument("--episodes", type=int, default=64, help="that are collected, for a recipe")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    precision = given.precision or ("bf16" if bf16_is_fast(torch.device("cpu")) else "fp32")
    found = measure(
        given.name, steps=given.steps, precision=precision, batch=given.batch, episodes=given.episodes
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
