"""What a GPU is worth: training steps per second, and whole runs of a small recipe and of a large one.

    python -m benchmarks.gpu [--part steps rooms lewm ...] [--folder FOLDER]
    python -m benchmarks.gpu --quick

Needs a GPU. `steps` times the first stage of recipes, with their data, beside what the GPU's matrix products
reach. `rooms` is the demo's recipe, collected, trained and evaluated as on a CPU; `lewm` is LeWM at its
published size (18 million parameters, frames of 224 px), for `Setting.steps` of its 20,000 updates. Parts
that are measured are kept in `results/gpu.json`; `--quick` measures hardly anything, and stores nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

import telos
from benchmarks.meter import Enough, machine
from benchmarks.training import rounded
from benchmarks.training_shapes import collected
from telos import recipes
from telos.configuration import to_dict
from telos.evaluation import TEST_SEED, Evaluation, evaluate
from telos.evaluation.archive import dump, read_json
from telos.files import atomic_path
from telos.progress import silent
from telos.recipes import Recipe
from telos.training import Compute

RESULT = Path(__file__).parent.parent / "results" / "gpu.json"
GPU = torch.device("cuda")
LARGE = 10_000_000  # parameters


@dataclass(frozen=True)
class Setting:
    """How much of everything."""

    recipes: tuple[str, ...] = ("rooms", "orbits", "lewm-short", "lewm")
    timed: int = 60  # steps, after as many that are not
    store: int = 128  # episodes that steps are timed on
    episodes: int = 1600  # that `lewm` learns from; the recipe: 10,000
    steps: int = 5000  # updates of `lewm`; the recipe: 20,000
    tasks: int = 200  # of either run
    small: str = "rooms"  # the small recipe that is run whole


QUICK = Setting(recipes=("rooms",), timed=4, store=16, episodes=16, steps=4, tasks=4, small="smoke")


def stage_steps(name: str, setting: Setting, folder: Path) -> dict[str, Any]:
    """Seconds of a step of the recipe's first stage, its data and all."""
    recipe = recipes.get(name)
    stage = recipe.representation
    assert stage is not None
    store = collected(folder / f"{name}-data", recipe, episodes=setting.store)
    marks: list[float] = []
    counter: Any = FlopCounterMode(display=False)
    torch.cuda.reset_peak_memory_stats()

    def progress(stage_name: str, done: int, total: int, **values: float) -> None:
        if done == 1:
            counter.__exit__(None, None, None)
        torch.cuda.synchronize()
        marks.append(time.perf_counter())
        if done == 2 * setting.timed:
            raise Enough

    counter.__enter__()
    with contextlib.suppress(Enough):
        telos.train(store, recipe, folder / name, progress=progress, compute=Compute("cuda"))
    seconds = [later - sooner for sooner, later in pairwise(marks)][-setting.timed :]
    frames = stage.optimisation.batch * (stage.horizon + 1) * recipe.architecture.frames
    flops, middle = counter.get_total_flops(), statistics.median(seconds)
    return {
        "recipe": name,
        "batch": stage.optimisation.batch,
        "frames_per_step": frames,
        "seconds_per_step": middle,
        "frames_per_second": frames / middle,
        "flops_per_step": flops,
        "share_of_floor": flops / matmul_flops() / middle,
        "memory_mib": torch.cuda.max_memory_allocated() / 2**20,
    }


def matmul_flops(size: int = 8192) -> float:
    """FLOPs per second of large bf16 products here: the best of ten."""
    left, right = (torch.randn(size, size, device=GPU).to(torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        torch.mm(left, right)
        torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def whole_run(recipe: Recipe, setting: Setting, folder: Path) -> dict[str, Any]:
    """Collect, train on the GPU, evaluate there and, a small model, on the CPU."""
    began = time.perf_counter()
    store = collected(folder / "data", recipe, episodes=recipe.collection.episodes)
    marks: dict[str, list[float]] = {}

    def progress(stage: str, done: int, total: int, **values: float) -> None:
        marks.setdefault(stage, []).append(time.perf_counter())

    start, cpu = time.perf_counter(), time.process_time()
    model = telos.train(store, recipe, folder / "run", progress=progress, compute=Compute("cuda"))
    trained, used = time.perf_counter(), time.process_time() - cpu
    last = start
    stages = {}
    for stage, times in marks.items():
        stages[stage], last = times[-1] - last, times[-1]
    parameters = sum(value.numel() for value in model.parameters())
    found = {
        "recipe": recipe.name,
        "parameters": parameters,
        "frames": store.num_frames,
        "seconds_of_collecting": start - began,
        "seconds_of_training": trained - start,
        "cpu_seconds_of_training": used,
        "seconds_of_stages": stages,
        "evaluated_on_the_gpu": evaluated(model.to(GPU), recipe, setting),
    }
    if parameters < LARGE:  # others take hours on one core
        found["evaluated_on_the_cpu"] = evaluated(model.cpu(), recipe, setting)
    return found


def evaluated(model: telos.Model, recipe: Recipe, setting: Setting) -> dict[str, Any]:
    """Test tasks, all at once as far as 64 go."""
    start = time.perf_counter()
    found: Evaluation = evaluate(
        model, recipe.world, tasks=setting.tasks, seed=TEST_SEED, progress=silent, command=COMMAND
    )
    told = ("n", "success", "interval", "noop", "random", "evaluations_per_plan", "cpu_seconds_per_plan")
    return {**{name: getattr(found, name) for name in told}, "seconds": time.perf_counter() - start}


def lewm(setting: Setting) -> Recipe:
    """The recipe, cut short."""
    recipe = recipes.get("lewm")
    assert recipe.representation is not None
    optimisation = replace(recipe.representation.optimisation, steps=setting.steps)
    return replace(
        recipe,
        collection=replace(recipe.collection, episodes=setting.episodes),
        representation=replace(recipe.representation, optimisation=optimisation),
    )


COMMAND = "python -m benchmarks.gpu"
PARTS = ("steps", "rooms", "lewm")


def main() -> None:
    """Measure the parts, and keep each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"), help="for experience and runs")
    parser.add_argument("--quick", action="store_true", help="hardly any; nothing is kept")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("this measures a GPU, and torch sees none.")
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as aside:
        if given.quick:
            measure(QUICK, given.part, Path(aside), Path(aside) / RESULT.name)
        else:
            measure(Setting(), given.part, given.folder, RESULT)


def measure(setting: Setting, parts: Sequence[str], runs: Path, out: Path) -> None:
    """Print the parts, and keep each in `out`, which holds those of one configuration."""
    header: dict[str, Any] = {
        "command": COMMAND,
        "machine": {**machine(), "gpu": torch.cuda.get_device_name()},
        "configuration": json.loads(json.dumps(to_dict(setting))),
    }
    kept = read_json(out) if out.exists() else header
    if kept["configuration"] != header["configuration"]:
        raise SystemExit(f"{out} holds parts of another configuration. Move it away to measure all anew.")
    for part in parts:
        folder = runs / part
        if part == "steps":
            found: Any = []
            for name in setting.recipes:
                found.append(stage_steps(name, setting, folder))
                print(json.dumps(rounded(found[-1])), flush=True)
        else:
            recipe = recipes.get(setting.small) if part == "rooms" else lewm(setting)
            found = whole_run(recipe, setting, folder)
            print(json.dumps(rounded(found)), flush=True)
        kept = {**kept, part: rounded(found)}
        with atomic_path(out) as aside:
            aside.write_text(dump(kept))


if __name__ == "__main__":
    main()
