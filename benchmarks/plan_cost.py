"""CPU-seconds per plan, one episode at a time, 8 and 64 at once: `python -m benchmarks.plan_cost`.

The model that ships with telos, or another one, plans development tasks as `telos evaluate` does, replanning
included; the cost of a plan is its mean over whole episodes. On one thread and on two. Writes
`results/plan_cost.json`, unless told to be quick, and prints it as the last line.
"""

from __future__ import annotations

import argparse
import json
import sys
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import torch

from benchmarks.meter import machine
from telos import recipes
from telos.evaluation import evaluate
from telos.model import Model

FULL = ((1, 8), (8, 16), (64, 64))  # episodes planned together, and episodes
QUICK = ((1, 1), (8, 8))
RESULT = Path(__file__).parent.parent / "results" / "plan_cost.json"


def measure(model: Model, recipe: recipes.Recipe, *, batch: int, episodes: int) -> dict[str, Any]:
    """What plans cost in `episodes` tasks, `batch` of them planned together."""
    found = evaluate(
        model,
        recipe.world,
        tasks=episodes,
        batch=batch,
        configurator=recipe.configurator,
        floors=False,
    )
    return {
        "batch": batch,
        "episodes": episodes,
        "plans": found.planning.plans,
        "evaluations_per_plan": round(found.planning.evaluations / found.planning.plans, 1),
        "cpu_seconds_per_plan": float(f"{found.planning.cpu_seconds / found.planning.plans:.3g}"),
        "plans_per_cpu_second": round(found.planning.plans / found.planning.cpu_seconds, 1),
        "success": found.success,  # of too few tasks to say more than that the plans are those of the table
    }


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="few episodes, one thread; nothing is stored")
    parser.add_argument("--model", type=Path, help="by default the one that ships with telos")
    parser.add_argument(
        "--recipe", default="rooms", choices=list(recipes.RECIPES), help="whose planner is used"
    )
    given = parser.parse_args()
    recipe = recipes.get(given.recipe)
    with ExitStack() as stack:
        shipped = files("telos") / "assets" / "rooms"
        model = Model.load(given.model or stack.enter_context(as_file(shipped)))
    named = str(given.model or "shipped")
    result: dict[str, Any] = {"recipe": recipe.name, "model": named, "machine": machine()}
    sizes = QUICK if given.quick else FULL
    before = torch.get_num_threads()
    for threads in (1,) if given.quick else (1, 2):
        torch.set_num_threads(threads)
        print(f"measuring on {threads} threads", file=sys.stderr)
        result[f"threads_{threads}"] = [
            measure(model, recipe, batch=batch, episodes=episodes) for batch, episodes in sizes
        ]
    torch.set_num_threads(before)
    if not given.quick and given.model is None:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
