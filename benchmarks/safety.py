"""Calibrated guardrails beside what they are held against: `python -m benchmarks.safety [--quick]`.

The model that ships with telos does tasks with hazards that training never saw. Buffers are calibrated for
several alphas on tasks of their own; true violations are counted on others. Every part is stored in a folder
when it is done: interrupted, the same command goes on, and run twice at once the two share the work. Writes
`results/safety.json`, unless told to be quick, and prints the rows as the last line.
"""

from __future__ import annotations

import argparse
import json
from importlib.resources import as_file, files
from pathlib import Path

from telos import recipes
from telos.cli.progress import Bars
from telos.evaluation.archive import dump
from telos.evaluation.safety import Protocol, Safety, Target
from telos.files import atomic_path
from telos.model import Model

RESULT = Path(__file__).parent.parent / "results" / "safety.json"
QUICK = Protocol(
    targets=(Target(0.2, 16, 8),),
    confidence=0.8,
    rounds=2,
    pilot=8,
    baseline=8,
    oracle=8,
    weights=(1.0,),
    batch=8,
)


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few episodes; nothing is stored in results")
    parser.add_argument("--cells", type=Path, help="where finished parts are; by default runs/safety")
    given = parser.parse_args()
    folder = given.cells or Path("runs/safety_quick" if given.quick else "runs/safety")
    with as_file(files("telos") / "assets" / "rooms") as path, Bars() as bars:
        found = Safety(
            Model.load(path),
            recipes.get("rooms").configurator,
            folder,
            protocol=QUICK if given.quick else Protocol(),
            command="python -m benchmarks.safety" + (" --quick" if given.quick else ""),
            progress=bars,
        ).run()
    if not given.quick:
        with atomic_path(RESULT) as aside:
            aside.write_text(dump(found))
    keys = ("alpha", "violations", "interval", "n", "success", "oracle_success", "buffer")
    print(json.dumps([{key: row[key] for key in keys} for row in found["alphas"]]))


if __name__ == "__main__":
    main()
