"""CPU-seconds and seconds per training step on one process and on two, and the memory of each.

    python -m benchmarks.scale [--quick]

One thread per process. The last line is one JSON object, of which the table in docs/scale.md is. Steps are
counted from the 20th of a stage on.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import distributed, multiprocessing

import telos
from benchmarks.meter import Enough, machine
from telos import recipes
from telos.data import EpisodeStore
from telos.training import Compute, train
from telos.training.config import Recipe

FIRST = 20  # metrics are written after so many steps


@dataclass(frozen=True)
class Case:
    """One row: a recipe, its processes, and how they compute."""

    recipe: str
    processes: int
    compute: Compute
    last: str  # the last stage that is run
    steps: int = 80  # timed, in each stage


CASES = [
    Case("rooms", 1, Compute("cpu"), "decoder"),
    Case("rooms", 2, Compute("cpu"), "decoder"),
    *(
        Case("lewm-short", 1, Compute("cpu", micro_batches=parts), "representation", 20)
        for parts in (1, 4, 16)
    ),
    *(Case("lewm-short", 2, Compute("cpu", sharding=way), "representation", 20) for way in ("none", "full")),
]


def measure(cases: list[Case], *, episodes: int) -> dict[str, Any]:
    """A row for every case."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        world = telos.make("telos/TwoRooms-v0", 64)
        telos.collect(world, data, episodes=episodes, length=48, seed=0)
        world.close()
        for number, case in enumerate(cases):
            print(f"measuring {case.recipe} on {case.processes}", file=sys.stderr)
            out = Path(folder) / str(number)
            multiprocessing.spawn(run, (case, data, out), nprocs=case.processes)
            found = json.loads((out / "found.json").read_text())
            rows.append(
                {
                    "recipe": case.recipe,
                    "processes": case.processes,
                    **asdict(case.compute),
                    "steps": case.steps,
                    **found,
                }
            )
    return {"rows": rows, "machine": machine()}


def run(rank: int, case: Case, data: Path, out: Path) -> None:
    """Train as one of the processes; the first leaves what it found in `found.json`."""
    torch.set_num_threads(1)
    if case.processes > 1:
        where = f"file://{out}.rendezvous"
        distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=case.processes)
    marks: dict[tuple[str, int], float] = {}
    memory = [0]

    def progress(stage: str, done: int, total: int, **values: float) -> None:
        marks[stage, done] = time.perf_counter()
        memory[0] = max(memory[0], anonymous())
        if (stage, done) == (case.last, total):
            raise Enough

    with contextlib.suppress(Enough, Exception if rank else Enough):  # the others are stopped by the first
        train(EpisodeStore.open(data), short(recipes.get(case.recipe), FIRST + case.steps), out,
              progress=progress, compute=case.compute, allow_collapse=True)  # fmt: skip
    if rank == 0:
        (out / "found.json").write_text(
            json.dumps({"stages": found(out, marks), "mib_of_a_process": memory[0]})
        )


def found(out: Path, marks: dict[tuple[str, int], float]) -> dict[str, Any]:
    """Per stage a step's CPU-seconds, of all processes, and its seconds."""
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    stages: dict[str, dict[str, float]] = {}
    for stage in dict.fromkeys(row["stage"] for row in rows):
        first, *_, last = [row for row in rows if row["stage"] == stage]
        steps = last["step"] - first["step"]
        stages[stage] = {
            "cpu_seconds_per_step": round((last["cpu_seconds"] - first["cpu_seconds"]) / steps, 4),
            "seconds_per_step": round((marks[stage, last["step"]] - marks[stage, first["step"]]) / steps, 4),
        }
    return stages


def anonymous() -> int:
    """MiB of memory that is of no file. Training gives nothing back, so this is the most that it took."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if "RssAnon" in line)
    return int(line.split()[1]) // 1024


def short(recipe: Recipe, steps: int) -> Recipe:
    """The recipe with so many steps in every stage, in TwoRooms-v0."""
    assert recipe.representation is not None
    settings = recipe.representation
    representation = replace(settings, optimisation=replace(settings.optimisation, steps=steps))
    decoder = replace(recipe.heads.decoder, steps=steps)
    prediction = recipe.prediction
    if prediction is not None:
        prediction = replace(prediction, optimisation=replace(prediction.optimisation, steps=steps))
    return replace(
        recipe,
        representation=representation,
        prediction=prediction,
        heads=replace(recipe.heads, decoder=decoder),
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few steps of `rooms` alone")
    quick = parser.parse_args().quick
    few = [replace(case, steps=20) for case in CASES[:2]]
    print(json.dumps(measure(few, episodes=64) if quick else measure(CASES, episodes=512)))


if __name__ == "__main__":
    main()
