"""Training frames per CPU-second of the recipe `rooms`, data loading included; beside a peer's if asked.

    python -m benchmarks.training [--quick] [--peer PATH [--peer-python PYTHON] [--peer-batch N]]

The last line is one JSON object. With `--peer` it is also written to `results/training_throughput.json`.
What the figures mean, and how to get the peer: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

import telos
from benchmarks.meter import Enough, StepMeter, cpu_seconds, machine, matmul_rates
from telos import recipes
from telos.data import EpisodeStore, Persistent
from telos.training.batches import BlockWindows
from telos.training.config import Recipe

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "training_throughput.json"


@dataclass(frozen=True)
class Settings:
    """What is measured, and for how long."""

    recipe: str = "rooms"
    episodes: int = 512  # of the recipe's length; enough that windows hardly repeat
    steps: int = 30  # timed, per number of threads
    threads: tuple[int, ...] = (1, 2)
    matmul_size: int = 2048
    matmul_seconds: float = 1.5  # CPU time per dtype
    peer_steps: int = 2
    peer_batch: int = 32


QUICK = Settings(episodes=128, steps=15, matmul_size=1024, matmul_seconds=0.6)


def measure(
    settings: Settings, *, peer: Path | None = None, peer_python: str = sys.executable
) -> dict[str, Any]:
    """All figures. `ValueError` if `peer` is no checkout of EB-JEPA."""
    if peer is not None and not (peer / "examples/ac_video_jepa/main.py").exists():
        raise ValueError(
            f"--peer must be a checkout of EB-JEPA; {peer} has no examples/ac_video_jepa/main.py. Get one "
            "by: git clone https://github.com/facebookresearch/eb_jepa"
        )
    recipe = recipes.get(settings.recipe)
    result: dict[str, Any] = {"configuration": asdict(settings), "machine": machine()}
    before = torch.get_num_threads()
    with tempfile.TemporaryDirectory() as folder:
        store, collecting = collect(recipe, Path(folder) / "data", episodes=settings.episodes)
        for threads in settings.threads:
            torch.set_num_threads(threads)
            print(f"measuring on {threads} threads", file=sys.stderr)
            rates = matmul_rates(size=settings.matmul_size, seconds=settings.matmul_seconds)
            part: dict[str, Any] = {"matmul_flops_per_cpu_second": rates}
            part["ours"] = floors(
                ours(recipe, store, Path(folder), steps=settings.steps, collecting=collecting), rates
            )
            if peer is not None:
                part["peer"] = floors(theirs(settings, peer, peer_python, threads=threads), rates)
                part["ratio"] = part["ours"]["frames_per_cpu_second"] / part["peer"]["frames_per_cpu_second"]
                part["ratio_with_collection"] = (
                    part["ours"]["frames_per_cpu_second_with_collection"]
                    / part["peer"]["frames_per_cpu_second"]
                )
            result[f"threads_{threads}"] = part
    torch.set_num_threads(before)
    first = result[f"threads_{settings.threads[0]}"]
    return rounded({"frames_per_cpu_second": first["ours"]["frames_per_cpu_second"], **result})


def collect(recipe: Recipe, path: Path, *, episodes: int) -> tuple[EpisodeStore, float]:
    """A store of the recipe's world, and the CPU-seconds that one of its frames took."""
    plan = recipe.collection
    world = telos.make(recipe.world, 64)
    policy = Persistent(hold=plan.hold, pause=plan.pause, full=plan.full, drift=plan.drift)
    start = cpu_seconds()
    store = telos.collect(world, path, episodes=episodes, length=plan.length, seed=0, policy=policy)
    used = cpu_seconds() - start
    world.close()
    return store, used / store.num_frames


def ours(
    recipe: Recipe, store: EpisodeStore, folder: Path, *, steps: int, collecting: float
) -> dict[str, float]:
    """The first steps of `telos.train`: windows from the store, loss, gradients, AdamW, metrics to disk."""
    settings = recipe.representation
    if steps >= settings.optimisation.steps:
        raise ValueError(
            f"steps must be less than the {settings.optimisation.steps} that the recipe trains; got {steps}."
        )
    meter = StepMeter(steps=steps)

    def progress(stage: str, done: int, total: int, **values: float) -> None:
        if meter.tick():
            raise Enough

    with tempfile.TemporaryDirectory(dir=folder) as run, contextlib.suppress(Enough):
        telos.train(store, recipe, run, progress=progress)
    frames = settings.optimisation.batch * (settings.horizon + 1)
    result = meter.result(frames=frames)
    made = recipe.collection.episodes * (recipe.collection.length + 1)
    trained = frames * settings.optimisation.steps
    collection = collecting * made / trained  # every collected frame is trained on several times
    result["frames_per_cpu_second_with_collection"] = 1 / (1 / result["frames_per_cpu_second"] + collection)
    result["data_frames_per_cpu_second"] = loading(recipe, store)
    result["batch"], result["frames_per_window"] = settings.optimisation.batch, settings.horizon + 1
    return result


def loading(recipe: Recipe, store: EpisodeStore) -> float:
    """Frames per CPU-second of drawing the recipe's windows alone."""
    stage, parts = recipe.representation, recipe.architecture
    windows = BlockWindows(
        store, horizon=stage.horizon, block=parts.block, frames=parts.frames, episodes=store.split()[0]
    )
    generator = torch.Generator().manual_seed(0)
    start, count = cpu_seconds(), 0
    while (used := cpu_seconds() - start) < 0.5:
        pixels, _ = windows.sample(stage.optimisation.batch, generator)
        count += pixels.shape[0] * pixels.shape[1]
    return count / used


def theirs(settings: Settings, peer: Path, python: str, *, threads: int) -> dict[str, float]:
    """The peer's figures, from a process of its own. `RuntimeError` with what it said if it fails."""
    command = [python, "-m", "benchmarks.peers.eb_jepa", str(peer.resolve())]
    command += ["--threads", str(threads), "--batch", str(settings.peer_batch)]
    done = subprocess.run(
        [*command, "--steps", str(settings.peer_steps)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(
            f"the peer's recipe did not run (exit code {done.returncode}; below 0: ended by that signal); "
            "docs/benchmarks.md lists what it needs, and --peer-batch makes it need less memory.\n"
            f"{(done.stdout + done.stderr)[-2000:]}"
        )
    return json.loads(done.stdout.splitlines()[-1])


def floors(result: dict[str, float], rates: dict[str, float]) -> dict[str, float]:
    """`result` with the part of its CPU time that its FLOPs would take as large matrix products."""
    for name, rate in rates.items():
        result[f"share_of_floor_{name}"] = result["flops_per_step"] / rate / result["cpu_seconds_per_step"]
    return result


def rounded(value: Any) -> Any:
    """Four significant digits: what a measurement is worth."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Training frames per CPU-second.")
    parser.add_argument("--quick", action="store_true", help="ours only, under a minute")
    parser.add_argument("--peer", type=Path, help="a checkout of EB-JEPA to measure in the same run")
    parser.add_argument("--peer-python", default=sys.executable, help="a Python that has what the peer needs")
    parser.add_argument("--peer-batch", type=int, default=Settings.peer_batch, help="its own is 384")
    given = parser.parse_args()
    if given.quick and given.peer is not None:
        parser.error("--quick measures ours only; leave out --peer or --quick.")
    settings = QUICK if given.quick else Settings(peer_batch=given.peer_batch)
    result = measure(settings, peer=given.peer, peer_python=given.peer_python)
    line = json.dumps({**result, "quick": given.quick})
    if given.peer is not None:
        RESULT.parent.mkdir(exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(line)


if __name__ == "__main__":
    main()
