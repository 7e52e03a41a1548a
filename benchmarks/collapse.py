"""Why learning from a teacher does not collapse, shown by the indicators: `python -m benchmarks.collapse`.

In TwoRooms, nothing but one method trains the recipe's encoder: no inverse dynamics, no other term. Beside
each method that learns from a teacher stands itself without one of the things that are said to keep it from
collapsing. The indicators are those of its training's batches. A curve is kept in `results/collapse.json`
when it is measured, so that a run that was stopped goes on; the figure is `docs/images/collapse.png`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

import telos
from benchmarks.meter import machine
from benchmarks.representation import NOTHING, WORLDS, Setting, Variant, experience, recipe_of, rounded
from benchmarks.rows import Rows
from telos.configuration import to_dict
from telos.training import Representation
from telos.training.methods import BYOL, DINO, VJEPA, InfoNCE, Method, VarianceCovariance

RESULT = Path(__file__).parent.parent / "results" / "collapse.json"
INDICATORS = ("embedding_spread", "std", "rank", "lidar", "within_episode_variance")
METHODS: Mapping[str, Method] = {
    "variance-covariance": VarianceCovariance(covariance=1.0),
    "InfoNCE": InfoNCE(),
    "BYOL": BYOL(),
    "BYOL, the teacher follows at once": BYOL(momentum=0.0),
    "BYOL, no second predictor": BYOL(predictor=False),
    "BYOL, gradients into the target": BYOL(teacher=False),
    "BYOL, neither": BYOL(teacher=False, predictor=False),
    "V-JEPA": VJEPA(),
    "DINO": DINO(),
    "DINO, no centre": DINO(centre_momentum=1.0),
    "DINO, no sharpening": DINO(teacher_temperature=0.1, temperature=0.1),
}


LONG = Setting(prediction=1, sharpness=1.0)
SHORT = Setting(episodes=16, representation=100, prediction=1, batch=4, sharpness=1.0, seeds=(0,))


def measure(method: Method, seed: int, setting: Setting, folder: Path) -> dict[str, Any]:
    """One curve: the indicators of training's batches, every forty updates."""
    store = experience(WORLDS["clean"], setting, folder)
    recipe = recipe_of(Variant("alone", "", method, NOTHING, joins=0.0), WORLDS["clean"], setting)
    assert isinstance(recipe.representation, Representation)
    recipe = replace(
        recipe,
        representation=replace(recipe.representation, ahead=(1,)),
        heads=replace(recipe.heads, labels=8, readout_steps=1),
    )
    with tempfile.TemporaryDirectory(dir=folder.parent) as run:
        telos.train(store, recipe, run, seed=seed, allow_collapse=True, save_seconds=1e9)
        rows = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    marked = [row for row in rows if row["stage"] == "representation" and "rank" in row]
    told = [name for name in ("step", "loss", *INDICATORS) if name in marked[0]]
    return rounded({name: [row[name] for row in marked] for name in told})


def main() -> None:
    """Measure the curves that are missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/representation"), help="for experience")
    parser.add_argument("--quick", action="store_true", help="hardly any; nothing is kept")
    given = parser.parse_args()
    torch.set_num_threads(1)
    setting = SHORT if given.quick else LONG
    given.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as aside:
        configuration = {"setting": to_dict(setting), "methods": to_dict({**METHODS})}
        rows = Rows(
            Path(aside) / "collapse.json" if given.quick else RESULT,
            ("method", "seed"),
            {
                "command": "python -m benchmarks.collapse",
                "machine": machine(),
                "configuration": configuration,
            },
            given.folder / "locks",
        )
        world = WORLDS["clean"].replace("/", "_")
        store = given.folder / (f"{world}_{setting.episodes}")
        cells: product[Any] = product(setting.seeds, METHODS)
        for seed, name in cells:
            row = rows.add((name, seed), partial(measure, METHODS[name], seed, setting, store))
            if row is not None:
                last = {key: row[key][-1] for key in INDICATORS if key in row}
                print(json.dumps({"method": name, "seed": seed} | last), flush=True)


if __name__ == "__main__":
    main()
