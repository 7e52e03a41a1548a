"""EB-JEPA's two-rooms recipe (arXiv 2602.03604), measured: run by `benchmarks.training --eb-jepa`.

    python -m benchmarks.peers.eb_jepa PATH [--threads N] [--batch N] [--steps N] [--precision bf16|fp32]

PATH is a checkout of https://github.com/facebookresearch/eb_jepa. Its own `run` trains by its own
configuration; only the progress bar around its batches is ours, and that is where time is taken. Changed
in the configuration: the batch's size; bf16 or not, as asked; no worker processes, so that making data counts
as this process's CPU time; no logging to a server and no planning evaluation, which its training loop would
add.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from benchmarks.meter import Enough, StepMeter

FRAMES = 17  # of a training sample: `sample_length` of its data configuration
ALONE = {
    "data.num_workers": 0,
    "data.pin_mem": False,
    "data.persistent_workers": False,
    "logging.log_wandb": False,
    "meta.enable_plan_eval": False,
    "meta.load_model": False,
}
"""The peer's training in one process, without what is not training."""


class Bar:
    """Stands where the training loop has its progress bar: hands on its batches, and looks at the clock."""

    def __init__(self, batches: Any, *, steps: int) -> None:
        self.batches, self.meter = iter(batches), StepMeter(steps=steps)

    def __iter__(self) -> Iterator[Any]:
        while True:
            with self.meter.loading():
                batch = next(self.batches)
            yield batch
            if self.meter.tick():
                raise Enough

    def set_postfix(self, values: dict[str, str]) -> None:
        """What the training loop tells its progress bar."""


def measure(path: Path, *, batch: int, steps: int, half: bool) -> dict[str, Any]:
    """The figures of the recipe in the checkout `path`, on the threads that torch has."""
    sys.path.insert(0, str(path))
    os.chdir(path)
    import examples.ac_video_jepa.main as recipe  # pyright: ignore[reportMissingImports]

    bars, made = [], []
    original = recipe.JEPA

    def bar(batches: Any, *, total: int, desc: str, disable: bool) -> Bar:
        bars.append(Bar(batches, steps=steps))
        return bars[0]

    def jepa(*parts: Any) -> Any:
        made.append(original(*parts))
        return made[0]

    recipe.JEPA, recipe.tqdm = jepa, bar
    settings = {"data.batch_size": batch, "training.use_amp": half, **ALONE}
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        recipe.run(str(path / "examples/ac_video_jepa/cfgs/train.yaml"), folder=folder, **settings)
    return {
        **bars[0].meter.result(frames=batch * FRAMES),
        "parameters": sum(value.numel() for value in made[0].parameters()),
        "packages": {"torch": torch.__version__},
        "peak_memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2, 2),
    }


def main() -> None:
    """Print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--precision", choices=("bf16", "fp32"), default="bf16", help="its own is bf16")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    half = given.precision == "bf16"
    print(json.dumps(measure(given.path.resolve(), batch=given.batch, steps=given.steps, half=half)))


if __name__ == "__main__":
    main()
