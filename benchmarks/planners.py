"""Energy and success against compute, for every planner: `python -m benchmarks.planners`.

    python -m benchmarks.planners [--rooms RUN/model] [--reacher RUN/model] [--world NAME ...] [--folder ...]
    python -m benchmarks.planners --quick

For each world, planner and budget:

- *energy*: development tasks are planned once, from their beginning, without a warm start, all in one call;
  the median over tasks of what the plan costs, as a share of what resting costs, and the worst one-in-ten.
- *success*: whole episodes with the planner in all situations, with warm starts; plans are made less often
  than the recipes make them, so that one plan's worth counts.

Where the model has a reflex (`telos train --reflex`), it is measured alone, as the first guess of `Evolution`
and among its proposals. A budget is a number of model evaluations per problem (a gradient step is a row
forward and about two backward, which only CPU-seconds show). Every cell is kept in FOLDER when it is done,
so that a run that was stopped goes on. Writes `results/planners.json` from the cells that there are.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from importlib.resources import as_file, files
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.meter import cpu_seconds, machine
from telos import recipes
from telos.actor import (
    CEM,
    LBFGS,
    MPPI,
    Evolution,
    Gradient,
    Guided,
    Lifted,
    PredictiveSampling,
    RandomShooting,
    Reflex,
    Relay,
    Tree,
    icem,
    worst_case,
)
from telos.actor.ranking import imagine, score
from telos.configurator import Configurator
from telos.cost import Goal
from telos.evaluation import DEV_SEED, evaluate
from telos.evaluation.encoding import still
from telos.files import atomic_path
from telos.model import Model
from telos.types import Budget, Configuration, Level, Observation, Planner, Problem
from telos.worlds import make

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "planners.json"


@dataclass(frozen=True)
class Setting:
    """How a world is planned in, beside the planner and its budget."""

    recipe: str
    world: str
    horizon: int  # blocks
    tasks: int  # whose energy is measured
    episodes: int  # whose success is measured
    budgets: tuple[int, ...]  # model evaluations per plan, of the energy
    success_at: tuple[int, ...]  # and of the success
    pace: int  # environment steps from one plan to the next


SETTINGS: Mapping[str, Setting] = {
    "two_rooms": Setting("rooms", "telos/TwoRooms-v0", 24, 32, 30, (4_000, 12_000, 36_000), (4_000,), 16),
    "four_rooms": Setting("rooms", "telos/FourRooms-v0", 24, 32, 30, (4_000, 12_000, 36_000), (4_000,), 16),
    "reacher": Setting("reacher", "Reacher-v5", 5, 32, 30, (640, 2_560, 10_240), (2_560,), 2),
}
QUICK = Setting("rooms", "telos/TwoRooms-v0", 8, 4, 2, (1_000, 2_000), (), 16)
COLD, WARM = 8, 3
"""Iterations into which a sampling planner's rollouts are divided: without and with a plan to begin with."""
NAMES = ("evolution", "cem", "icem", "mppi", "predictive_sampling", "random_shooting", "gradient", "lbfgs")
NAMES += ("lifted", "hybrid", "tree", "relay", "reflex", "reflex_first", "guided")


def sized(name: str, rollouts: int, iterations: int) -> Planner:
    """The planner for about so many rollouts: candidates in few `iterations`, or few starts in many."""
    count = max(8, round(rollouts / iterations))
    elites, starts = max(2, count // 8), min(16, max(2, round(rollouts / 20)))
    build: Mapping[str, Callable[[], Planner]] = {
        "evolution": lambda: Evolution(candidates=count),
        "cem": lambda: CEM(count, elites),
        "icem": lambda: icem(count, elites=elites),
        "mppi": lambda: MPPI(count),
        "predictive_sampling": lambda: PredictiveSampling(count),
        "random_shooting": lambda: RandomShooting(count),
        "gradient": lambda: Gradient(starts),
        "lbfgs": lambda: Gradient(starts, LBFGS()),
        "lifted": lambda: Lifted(starts),
        "hybrid": lambda: Relay(
            ((1, CEM(max(8, rollouts // 2), 4)), (max(1, rollouts // 8), Gradient(4, LBFGS())))
        ),
        "tree": Tree,
        "relay": lambda: Relay(((32, Tree()), (6, Evolution()))),
        "reflex": lambda: Reflex(candidates=16),
        "reflex_first": lambda: Relay(((1, Reflex(candidates=16)), (iterations, Evolution(count)))),
        "guided": lambda: Guided(Evolution(count)),
    }
    return build[name]()


@dataclass(frozen=True)
class Cell:
    """One measurement."""

    world: str
    planner: str
    measure: str  # "energy" or "success"
    budget: int  # model evaluations per plan, about

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.world}-{self.planner}-{self.measure}-{self.budget}.json"


def cells(settings: Mapping[str, Setting], names: list[str]) -> list[Cell]:
    """Everything that is measured, the cheap part first."""
    found = []
    for measure, (world, setting) in product(("energy", "success"), settings.items()):
        budgets = setting.budgets if measure == "energy" else setting.success_at
        found += [Cell(world, name, measure, budget) for budget, name in product(budgets, names)]
    return found


def problem_of(model: Model, setting: Setting, budget: Budget) -> Problem:
    """The first plans of development tasks."""
    world = make(setting.world, setting.tasks)
    frames = world.reset(range(DEV_SEED, DEV_SEED + setting.tasks), split="heldout", task=True)
    with torch.no_grad():
        state, goal = (
            model.encode(Observation(still(torch.from_numpy(part), model.config.frames)))
            for part in (frames, world.goal_frames())
        )
    world.close()
    return Problem(
        state=state,
        levels=(Level(model.rollout, model.config.action_space, resume=model.resume),),
        cost=Goal(model.moving(goal)),
        policy=model.policy(state, model.moving(goal)),
        aggregate=worst_case,
        horizon=setting.horizon,
        generator=torch.Generator().manual_seed(0),
        budget=budget,
    )


def for_budget(
    name: str, model: Model, setting: Setting, evaluations: int, parts: int
) -> tuple[Planner, int]:
    """A planner and so many iterations that it uses about so many evaluations, tried on one task."""
    rollouts = round(evaluations / (setting.horizon * model.config.ensemble))
    planner, problem = sized(name, rollouts, parts), problem_of(model, replace(setting, tasks=1), Budget(1))
    used, iterations = 0, 0
    while used < evaluations:
        step = max(1, iterations // 4)
        before, iterations = used, iterations + step
        used = planner(replace(problem, budget=Budget(iterations))).evaluations
        if used - evaluations > evaluations - before and iterations > step:
            return planner, iterations - step
    return planner, iterations


def energy(model: Model, setting: Setting, name: str, evaluations: int) -> dict[str, Any]:
    """What plans from a cold start are worth and cost."""
    planner, iterations = for_budget(name, model, setting, evaluations, COLD)
    problem = problem_of(model, setting, Budget(iterations))
    with torch.no_grad():
        space = problem.level.action_space
        rest = space.project(problem.state.new_zeros(problem.batch, 1, problem.horizon, space.size))
        resting = score(problem, imagine(problem, rest))[0].energy[:, 0]
    began = cpu_seconds()
    plan = planner(problem)
    used = cpu_seconds() - began
    share = (plan.energy / resting).numpy()
    return {
        "iterations": problem.budget.iterations,
        "evaluations": plan.evaluations,
        "cpu_seconds_per_plan": used / setting.tasks,
        "energy": float(np.median(share)),
        "energy_worst_tenth": float(np.quantile(share, 0.9)),
        "energy_mean": float(share.mean()),
        "n": setting.tasks,
    }


def success(model: Model, setting: Setting, name: str, evaluations: int) -> dict[str, Any]:
    """What the planner reaches when it plans everything, and what its plans cost."""
    planner, iterations = for_budget(name, model, setting, evaluations, WARM)
    plan = Configuration(planner, setting.horizon, Budget(iterations), replan_every=setting.pace)
    found = evaluate(
        model,
        setting.world,
        tasks=setting.episodes,
        configurator=Configurator(explore=plan, track=plan, settle=plan, near=0.0, arrived=0.0),
        floors=False,
    )
    return {
        "iterations": iterations,
        "evaluations": found.evaluations_per_plan,
        "cpu_seconds_per_plan": found.cpu_seconds_per_plan,
        "success": found.success,
        "interval": list(found.interval),
        "n": found.n,
    }


def floors(model: Model, setting: Setting) -> dict[str, Any]:
    """The recipe's own configurator on the same tasks, and doing nothing and acting at random."""
    recipe = recipes.get(setting.recipe)
    found = evaluate(model, setting.world, tasks=setting.episodes, configurator=recipe.configurator)
    return {
        "success": found.success,
        "interval": list(found.interval),
        "n": found.n,
        "noop": found.noop,
        "random": found.random,
        "evaluations": found.evaluations_per_plan,
        "cpu_seconds_per_plan": found.cpu_seconds_per_plan,
    }


def kept(path: Path, make_it: Any) -> dict[str, Any]:
    """The content of a cell's file, made now unless it is there."""
    if not path.exists():
        print(f"measuring {path.stem}", file=sys.stderr)
        with atomic_path(path) as aside:
            aside.write_text(json.dumps(make_it()))
    return json.loads(path.read_text())


def collected(folder: Path, settings: Mapping[str, Setting], names: list[str]) -> dict[str, Any]:
    """The result of the cells that are done."""
    done = [cell for cell in cells(settings, names) if (folder / cell.name).exists()]
    rows = [vars(cell) | json.loads((folder / cell.name).read_text()) for cell in done]
    references = {
        world: json.loads(path.read_text())
        for world in settings
        if (path := folder / f"{world}-recipe.json").exists()
    }
    return {
        "settings": {name: vars(setting) for name, setting in settings.items()},
        "recipes": references,
        "rows": rows,
        "threads": torch.get_num_threads(),
        "machine": machine(),
        "command": "python -m benchmarks.planners --rooms RUN/model --reacher RUN/model",
    }


def main() -> None:
    """Measure what is missing, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few tasks, one world; nothing is stored")
    parser.add_argument("--world", nargs="*", choices=SETTINGS, default=list(SETTINGS))
    parser.add_argument("--planner", nargs="*", choices=NAMES, default=list(NAMES))
    parser.add_argument("--rooms", type=Path, help="a model of the recipe rooms; by default the shipped one")
    parser.add_argument("--reacher", type=Path, help="a model of the recipe reacher")
    parser.add_argument("--folder", type=Path, default=Path("runs/planners"))
    parser.add_argument("--collect", action="store_true", help="measure nothing more")
    given = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"two_rooms": QUICK} if given.quick else {name: SETTINGS[name] for name in given.world}
    if "reacher" in settings and not given.reacher and not given.collect:
        parser.error("give --reacher RUN/model, or choose worlds with --world.")
    given.folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        rooms = given.rooms or stack.enter_context(as_file(files("telos") / "assets" / "rooms"))
        paths = {name: given.reacher if name == "reacher" else rooms for name in settings}
        models = {} if given.collect else {name: Model.load(path) for name, path in paths.items()}
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) if given.quick else given.folder
        for cell in [] if given.collect else cells(settings, given.planner):
            measure = energy if cell.measure == "energy" else success
            setting, reflex = settings[cell.world], models[cell.world].reflex
            if reflex is None and cell.planner in ("reflex", "reflex_first", "guided"):
                continue
            kept(
                folder / f"{cell.world}-recipe.json",
                lambda world=cell.world, setting=setting: floors(models[world], setting),
            )
            kept(
                folder / cell.name,
                lambda cell=cell, setting=setting, measure=measure: measure(
                    models[cell.world], setting, cell.planner, cell.budget
                ),
            )
        result = collected(folder, settings, given.planner)
    if not given.quick:
        RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
