"""Success rows of the README's table: `python -m benchmarks.success NAME [--runs FOLDER]`.

Collects, trains and evaluates from nothing, in `FOLDER/NAME/SEED`; what is there already is gone on from.
Tasks are test tasks, which nothing was tuned on, with seeds of their own for each trained model. Run a row
once: `results/NAME.json` is written when it is done.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import telos
from telos.cli.progress import Bars
from telos.evaluation import TEST_SEED, evaluate, pool
from telos.progress import Progress
from telos.recipes import Recipe, get
from telos.worlds import make

RESULTS = Path(__file__).parent.parent / "results"


@dataclass(frozen=True)
class Row:
    """What one row of the table measures."""

    recipe: str
    tasks: int  # per trained model
    seeds: tuple[int, ...] = (0,)  # of training
    world: str | None = None  # by default the recipe's
    guardrail: str | None = None
    runs: str | None = None  # the row whose trained models are used; by default its own


ROWS = {
    "two_rooms": Row("rooms", 200, (0, 1, 2)),
    "two_rooms_long": Row("rooms-long", 200, (0, 1, 2)),
    "four_rooms": Row("rooms", 200, world="telos/FourRooms-v0", runs="two_rooms"),
    "guardrail": Row("rooms", 200, guardrail="across", runs="two_rooms"),
    "reacher": Row("reacher", 100),
}
_APART = 100_000  # between the first task seeds of two models, and of two rows


def trained(recipe: Recipe, folder: Path, seed: int, progress: Progress) -> telos.Model:
    """The model that `recipe` makes with this seed, from experience of its own."""
    world, how = make(recipe.world, 16), recipe.collection
    store = telos.collect(
        world,
        folder / "data",
        episodes=how.episodes,
        seed=seed,
        length=how.length,
        policy=how.policy,
        progress=progress,
    )
    world.close()
    return telos.train(store, recipe, folder, seed=seed, progress=progress)


def run(name: str, runs: Path, progress: Progress) -> dict[str, object]:
    """One row, as it is stored."""
    row, recipe = ROWS[name], get(ROWS[name].recipe)
    found = []
    for number, seed in enumerate(row.seeds):
        model = trained(recipe, runs / (row.runs or name) / str(seed), seed, progress)
        first = TEST_SEED + _APART * (len(ROWS) * number + list(ROWS).index(name))
        found.append(
            evaluate(
                model,
                row.world or recipe.world,
                tasks=row.tasks,
                seed=first,
                guardrail=row.guardrail,
                configurator=recipe.configurator,
                command=f"python -m benchmarks.success {name}",
                progress=progress,
            )
        )
    stored = pool(found).to_json()
    provenance = [
        json.loads((runs / (row.runs or name) / str(seed) / "model" / "config.json").read_text())[
            "provenance"
        ]
        for seed in row.seeds
    ]
    stored["training"] = {
        "seeds": list(row.seeds),
        "cpu_seconds": [each["cpu_seconds"] for each in provenance],
        "frames": [each["frames"] for each in provenance],
        "recipe": provenance[0]["recipe"],
    }
    return stored


def main() -> None:
    """Measure one row and store it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=ROWS)
    parser.add_argument("--runs", type=Path, default=Path("runs/success"))
    arguments = parser.parse_args()
    with Bars() as bars:
        stored = run(arguments.name, arguments.runs, bars)
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{arguments.name}.json"
    path.write_text(json.dumps(stored, indent=1) + "\n")
    keys = ("success", "interval", "n", "noop", "random", "evaluations_per_plan", "cpu_seconds_per_plan")
    print(json.dumps({key: stored[key] for key in keys}))


if __name__ == "__main__":
    main()
