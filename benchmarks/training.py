"""Training frames per CPU-second: telos and three peers on each peer's model, and telos' own recipes.

    python -m benchmarks.training --eb-jepa PYTHON CHECKOUT --torch-world PYTHON --stable-worldmodel PYTHON
    python -m benchmarks.training --quick

Every measurement is a process of its own, ours and the peer's in turn, and a file in `--cells`: what is
there is not measured again, so a run that was stopped goes on. With all three peers the result is
`results/training.json`. `--quick` measures telos alone, in about a minute, and stores nothing. The last line
is one JSON object. What the figures mean, and how to get the peers: docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks.meter import machine, matmul_rates
from benchmarks.training_shapes import Shape, shapes
from telos.files import atomic_path
from telos.model import bf16_is_fast

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "training.json"
PEERS = {"eb_jepa": "eb_jepa", "torch_world": "torch_world", "torch_world_192": "torch_world"}
PEERS |= {"stable_worldmodel": "stable_worldmodel"}
"""Whose environment a shape needs."""
COMMAND = (
    "python -m benchmarks.training --eb-jepa PYTHON CHECKOUT --torch-world PYTHON --stable-worldmodel PYTHON"
)

Figures = dict[str, Any]


@dataclass(frozen=True)
class Settings:
    """What is measured, and for how long."""

    recipes: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("rooms", ("--steps", "20", "--episodes", "256")),
        ("reacher", ("--steps", "8")),
        ("lewm-short", ("--steps", "3")),
        ("lewm", ("--steps", "1", "--batch", "16", "--episodes", "8")),  # 128 need more than 16 GB
    )
    threads: tuple[int, ...] = (1, 2)
    rounds: int = 2  # of ours and the peer's in turn
    matmul_size: int = 2048
    matmul_seconds: float = 1.5  # CPU time per dtype


QUICK = Settings(
    recipes=(("rooms", ("--steps", "5")), ("reacher", ("--steps", "2", "--episodes", "16"))),
    threads=(1,),
    rounds=1,
    matmul_size=1024,
    matmul_seconds=0.6,
)


@dataclass(frozen=True)
class Cell:
    """One process that measures."""

    name: str
    command: tuple[str, ...]

    def read(self, folder: Path) -> Figures:
        """What it found; it is run now unless it has been before. `RuntimeError` with what it said."""
        path = folder / f"{self.name}.json"
        if not path.exists():
            print(f"measuring {self.name}", file=sys.stderr)
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            done = subprocess.run(
                self.command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(
                    f"{' '.join(self.command)} did not run (exit code {done.returncode}; below 0: ended by "
                    "that signal); docs/benchmarks.md lists what the peers need.\n"
                    f"{(done.stdout + done.stderr)[-2000:]}"
                )
            with atomic_path(path) as aside:
                aside.write_text(done.stdout.splitlines()[-1] + "\n")
        return json.loads(path.read_text())


def ours(name: str, *arguments: str, threads: int, part: str) -> Cell:
    """A measurement of telos."""
    command = (sys.executable, "-m", "benchmarks.training_step", name, *arguments, "--threads", str(threads))
    return Cell(f"{name}-{threads}-ours-{part}", command)


def theirs(name: str, shape: Shape, where: list[str], *, threads: int, precision: str, part: str) -> Cell:
    """A measurement of the peer whose Python, and checkout if it has one, is `where`."""
    python, *checkout = where
    command = (python, "-m", f"benchmarks.peers.{shape.peer}", *checkout, *shape.peer_arguments)
    rest = ("--threads", str(threads), "--steps", str(shape.peer_steps), "--precision", precision)
    return Cell(f"{name}-{threads}-peer-{part}", (*command, *rest))


def in_turn(
    name: str, settings: Settings, where: list[str] | None, *, threads: int, precisions: list[str]
) -> Iterator[tuple[str, Cell]]:
    """Ours and the peer's, A B A B: what it is of, `ours_bf16` say, and the cell."""
    shape = shapes()[name]
    steps = ("--steps", str(shape.peer_steps * (1 if where is None else 2)))
    for turn in range(settings.rounds):
        for precision in precisions:
            part = f"{precision}-{turn}"
            arguments = (*steps, "--precision", precision)
            yield f"ours_{precision}", ours(name, *arguments, threads=threads, part=part)
            if where is not None:
                cell = theirs(name, shape, where, threads=threads, precision=precision, part=part)
                yield f"peer_{precision}", cell


def figures(cells: list[Figures], rates: Mapping[str, float], precision: str) -> Figures:
    """Rates of the steps of all rounds: of the median step and the fastest, alone and with data."""
    first = cells[0]
    frames, flops = first["frames_per_step"], first["flops_per_step"]
    with_data = [seconds for cell in cells for seconds in cell["cpu_seconds"]]
    loading = [seconds for cell in cells for seconds in cell["data_cpu_seconds"]]
    alone = [whole - data for whole, data in zip(with_data, loading, strict=True)]
    middle = statistics.median(alone)
    found = {
        "frames_per_cpu_second": frames / middle,
        "frames_per_cpu_second_fastest": frames / min(alone),
        "frames_per_cpu_second_with_data": frames / statistics.median(with_data),
        "cpu_seconds_per_step": middle,
        "steps_timed": len(alone),
        "frames_per_step": frames,
        "parameters": first["parameters"],
        "flops_per_step": flops,
        "flops_per_frame": flops / frames,
        "share_of_floor": flops / rates[precision] / middle,
        "precision": precision,
    }
    if "collecting_cpu_seconds_per_frame" in first:
        collecting = statistics.median(cell["collecting_cpu_seconds_per_frame"] for cell in cells)
        whole = 1 / found["frames_per_cpu_second_with_data"] + collecting
        found["frames_per_cpu_second_with_collection"] = 1 / whole
    return found


def compared(found: dict[str, list[Figures]], shape: Shape, rates: Mapping[str, float]) -> Figures:
    """A shape on some threads: each as its own project has it, and both in the same precision."""
    told: Figures = {part: figures(cells, rates, part.partition("_")[2]) for part, cells in found.items()}
    told["ours"] = "ours_bf16" if "ours_bf16" in told else "ours_fp32"
    peers = {part: told[part]["frames_per_cpu_second"] for part in found if part.startswith("peer")}
    if not peers:
        return told
    own = f"peer_{shape.peer_precision}"
    told["peer"] = own if own in peers else "peer_fp32"
    rate = told[told["ours"]]["frames_per_cpu_second"]
    told["ratio"] = rate / peers[told["peer"]]
    told["ratio_to_the_peers_faster_precision"] = rate / max(peers.values())
    for kind in ("_fastest", "_with_data"):
        name = f"frames_per_cpu_second{kind}"
        told[f"ratio{kind}"] = told[told["ours"]][name] / told[told["peer"]][name]
    for part, peer in peers.items():
        precision = part.partition("_")[2]
        told[f"ratio_{precision}"] = told[f"ours_{precision}"]["frames_per_cpu_second"] / peer
    return told


def measure(settings: Settings, peers: Mapping[str, list[str]], folder: Path, *, quick: bool) -> Figures:
    """All figures, from the cells in `folder` and those that are measured now."""
    half = bf16_is_fast(torch.device("cpu"))
    precisions = ["bf16"] if half and quick else ["bf16", "fp32"] if half else ["fp32"]
    chosen = [name for name in shapes() if not peers or PEERS[name] in peers]
    cells: dict[tuple[str, int], dict[str, list[Figures]]] = {}
    for threads in settings.threads:
        for name in chosen:
            _measure_rates(settings, folder, threads, name)
            where, found = peers.get(PEERS[name]), cells.setdefault((name, threads), {})
            for part, cell in in_turn(name, settings, where, threads=threads, precisions=precisions):
                found.setdefault(part, []).append(cell.read(folder))
        for name, arguments in settings.recipes:
            read = ours(name, *arguments, threads=threads, part="own").read(folder)
            cells[name, threads] = {"own": [read]}
    rates = {threads: _rates(folder, threads) for threads in settings.threads}
    told_shapes: Figures = {name: {"differs": shapes()[name].differs} for name in chosen}
    told_recipes: Figures = {name: {} for name, _ in settings.recipes}
    for (name, threads), found in cells.items():
        if name in told_recipes:
            own = found["own"][0]
            told_recipes[name]["batch"] = own["batch"]
            told_recipes[name][f"threads_{threads}"] = figures([own], rates[threads], own["precision"])
        else:
            told_shapes[name][f"threads_{threads}"] = compared(found, shapes()[name], rates[threads])
    packages = [part["packages"] for found in cells.values() for parts in found.values() for part in parts]
    return rounded(
        {
            "command": COMMAND,
            "configuration": asdict(settings),
            "machine": machine(),
            "packages": {name: version for part in packages for name, version in part.items()},
            "matmul_flops_per_cpu_second": {f"threads_{key}": value for key, value in rates.items()},
            "shapes": told_shapes,
            "recipes": told_recipes,
        }
    )


def _rates(folder: Path, threads: int) -> dict[str, float]:
    """The speed of this machine's large matrix products: the best of what was found between the shapes."""
    found = [json.loads(path.read_text()) for path in folder.glob(f"matmul-{threads}-*.json")]
    return {name: max(rates[name] for rates in found) for name in found[0]}


def _measure_rates(settings: Settings, folder: Path, threads: int, beside: str) -> None:
    path = folder / f"matmul-{threads}-{beside}.json"
    if path.exists():
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = matmul_rates(size=settings.matmul_size, seconds=settings.matmul_seconds)
    torch.set_num_threads(before)
    path.write_text(json.dumps(found))


def rounded(value: Any) -> Any:
    """Four significant digits: what a measurement is worth."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Print the figures; with all peers, store them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="telos alone, about a minute")
    parser.add_argument("--eb-jepa", nargs=2, metavar=("PYTHON", "CHECKOUT"))
    parser.add_argument("--torch-world", nargs=1, metavar="PYTHON")
    parser.add_argument("--stable-worldmodel", nargs=1, metavar="PYTHON")
    parser.add_argument("--threads", type=int, nargs="+", default=list(Settings.threads))
    parser.add_argument("--cells", type=Path, default=Path("runs/training"), help="where finished parts are")
    given = parser.parse_args()
    named = {"eb_jepa": given.eb_jepa, "torch_world": given.torch_world}
    named["stable_worldmodel"] = given.stable_worldmodel
    peers = {name: where for name, where in named.items() if where is not None}
    if given.quick == bool(peers):
        parser.error("give --quick, or one or more of --eb-jepa, --torch-world and --stable-worldmodel.")
    if given.quick:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps({**measure(QUICK, {}, Path(folder), quick=True), "quick": True}))
        return
    given.cells.mkdir(parents=True, exist_ok=True)
    result = measure(Settings(threads=tuple(given.threads)), peers, given.cells.resolve(), quick=False)
    if len(peers) == len(named):
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
