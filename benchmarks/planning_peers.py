"""telos' planners beside EB-JEPA's and torch_world's, each on the peer's own model and energy.

    python -m benchmarks.planning_peers --eb-jepa PYTHON CHECKOUT --torch-world PYTHON [--folder FOLDER]

PYTHON is the interpreter of an environment of the peer's own; `benchmarks/peers/eb_jepa_planning.py` and
`torch_world.py` say how it is made. A peer's model is trained a little unless FOLDER has it, and every part
that is done is kept there. Writes `results/planning_peers.json` and prints it as the last line.

Each peer's CEM plans from a few starts. telos' planners get the same model, starts and energy, and a share
of the peer's rows (a row is one step of the predictor for one candidate; one that a gradient goes back
through counts as three). `ratio_per_row` compares CPU-seconds per row with telos' CEM; `ratio_same_energy`
compares CPU-seconds with those of the cheapest of `rows` that is nowhere worse (by more than 0.1 %).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.meter import machine

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "planning_peers.json"
SHARES = (1.0, 0.25, 0.1, 0.025)
STATES = 4
SLACK = 1e-3  # the share by which an energy may be higher and still count as no worse


def measured(folder: Path, command: list[str], model: list[str], flags: list[str]) -> dict[str, Any]:
    """The figures of one peer: its model is trained unless it is there, then everything plans."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    for made, part in (
        (Path(model[-1]), [*command, "train", *model]),
        (folder / "figures.json", [*command, "plan", *model, str(folder), *flags]),
    ):
        if not made.exists():
            print(f"making {made}", file=sys.stderr)
            subprocess.run(part, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    return json.loads((folder / "figures.json").read_text())


def summary(figures: dict[str, Any], peer: str) -> dict[str, Any]:
    """Means over starts per planner and share, and what the peer costs beside them."""
    plans = figures["plans"]
    theirs = {plan["state"]: plan for plan in plans if plan["planner"] == peer}
    rows = []
    for planner, share in sorted({(plan["planner"], plan["share"]) for plan in plans}):
        some = [plan for plan in plans if (plan["planner"], plan["share"]) == (planner, share)]
        ratios = [plan["energy"][0] / theirs[plan["state"]]["energy"][0] for plan in some]
        rows.append(
            {
                "planner": planner,
                "share": share,
                "cpu_seconds": mean(plan["cpu_seconds"] for plan in some),
                "cpu_milliseconds_per_row": 1000 * mean(plan["cpu_seconds"] / plan["rows"] for plan in some),
                "rows": mean(plan["rows"] for plan in some),
                "energy_over_peers": median(ratios),
                "starts_no_worse": sum(ratio <= 1 + SLACK for ratio in ratios),
                "starts": len(some),
            }
        )
    (own,) = (row for row in rows if row["planner"] == peer)
    good = [row for row in rows if row["planner"] != peer and row["starts_no_worse"] == row["starts"]]
    best = min(good, key=lambda row: row["cpu_seconds"], default=None)
    (alike,) = (row for row in rows if (row["planner"], row["share"]) == ("cem", 1.0))
    return {
        "peer": peer,
        "peer_cpu_seconds": own["cpu_seconds"],
        "ratio_per_row": own["cpu_milliseconds_per_row"] / alike["cpu_milliseconds_per_row"],
        "cheapest_no_worse": best,
        "ratio_same_energy": None if best is None else own["cpu_seconds"] / best["cpu_seconds"],
        "rows": rows,
        "threads": figures["threads"],
        "machine": figures["machine"],
    }


def main() -> None:
    """Measure what is missing, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--eb-jepa", nargs=2, metavar=("PYTHON", "CHECKOUT"), required=True)
    parser.add_argument("--torch-world", metavar="PYTHON", required=True)
    parser.add_argument("--folder", type=Path, default=Path("runs/planning_peers"))
    given = parser.parse_args()
    folder = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    flags = ["--states", str(STATES), "--share", *(f"{share:g}" for share in SHARES)]
    python, checkout = given.eb_jepa
    eb_jepa = measured(
        folder / "eb_jepa",
        [python, "-m", "benchmarks.peers.eb_jepa_planning"],
        [str(Path(checkout).resolve()), str(folder / "eb_jepa.pt")],
        [*flags, "--planner", "cem", "--block", "1"],
    )
    torch_world = measured(
        folder / "torch_world",
        [given.torch_world, "-m", "benchmarks.peers.torch_world"],
        [str(folder / "torch_world.pt")],
        flags,
    )
    result = {
        "eb_jepa": summary(eb_jepa, "EB-JEPA CEMPlanner"),
        "torch_world": summary(torch_world, "torch_world CEM"),
        "machine": machine(),
        "command": "python -m benchmarks.planning_peers --eb-jepa PYTHON CHECKOUT --torch-world PYTHON",
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
