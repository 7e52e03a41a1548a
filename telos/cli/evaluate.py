"""`telos evaluate`: held-out tasks, with floors, an interval and, with guardrails, true violations."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from telos.cli import console
from telos.cli.objective import Aim, Objective, regions, targets
from telos.cli.progress import Bars

if TYPE_CHECKING:
    from telos.evaluation import Evaluation
    from telos.types import World


def evaluate(
    objective: Annotated[Objective, tyro.conf.arg(name="")],
    *,
    model: Path,
    out: Path | None = None,
    world: str | None = None,
    tasks: int = 50,
    seed: int | None = None,
    batch: int = 64,
    recipe: str | None = None,
    guardrail: str | None = None,
    within: float | None = None,
    record: int = 4,
    safety: bool = False,
) -> None:
    """Give the agent tasks in layouts that training never saw, and measure.

    Args:
        objective: what is asked beside, or instead of, the world's own goals.
        model: the checkpoint that `telos train` wrote.
        out: a folder for evaluation.json and recordings; by default "evaluation" beside the model.
        world: a telos name, a Gymnasium id, or package.module:Class; by default the model's.
        tasks: how many.
        seed: of the first task; by default that of the tasks for development.
        batch: at most so many episodes are planned together.
        recipe: plan as this recipe says; by default the one that the model was trained with.
        guardrail: "across" puts a forbidden disc across the way of each task (Rooms), and the tasks are
            done without the guardrail as well.
        within: with --goal, how near the true reading must be at the last step.
        record: how many successes and how many failures are kept to look at.
        safety: instead, calibrate guardrails on hazards that training never saw, and count violations
            beside baselines. Takes an hour or two; interrupted, it goes on where it was, and several of
            these commands share the work.
    """
    if safety:
        if guardrail or within is not None or objective != Objective():
            raise ValueError("--safety has goals and hazards of its own: leave other objectives out.")
        if (world, tasks, seed, batch, record) != (None, 50, None, 64, 4):
            raise ValueError(
                "--safety has tasks of its own, in the model's world, and records none: leave --world, "
                "--tasks, --seed, --batch and --record out."
            )
        return evaluate_safety(model, out, recipe)
    from telos.cli.models import planning, world_of
    from telos.cli.targets import Targeted
    from telos.evaluation import DEV_SEED, Record
    from telos.evaluation import evaluate as measure
    from telos.model import Model
    from telos.worlds import make

    forbidden = regions(objective)
    check_asked(objective, guardrail, within)
    learned = Model.load(model)
    out = model.parent / "evaluation" if out is None else out
    made: World = make(world_of(learned, world), max(min(batch, tasks), 1))
    if within is not None:
        made = Targeted(made, targets(objective), within=within)
    try:
        with console.interruptible("Nothing was written; an evaluation begins anew."), Bars() as bars:
            found = measure(
                learned,
                made,
                tasks=tasks,
                seed=DEV_SEED if seed is None else seed,
                batch=batch,
                configurator=planning(learned, model, recipe),
                aim=Aim(objective),
                guardrail=forbidden or guardrail,
                record=Record(record, record),
                command=command_line(),
                progress=bars,
            )
    finally:
        made.close()
    found.save(out)
    show(found)
    console.say(f"Written to {out}. See it: telos report {out.parent}")


def check_asked(objective: Objective, guardrail: str | None, within: float | None) -> None:
    """`ValueError` where these cannot be evaluated, or not at once."""
    from telos.evaluation.measure import protocol_of

    protocol = protocol_of(guardrail)
    if (objective.keep_out or objective.keep_in) and guardrail:
        raise ValueError("--guardrail and --keep-out or --keep-in cannot be evaluated at once; give one.")
    if objective.goal and within is None:
        raise ValueError("--goal needs --within: how near the true reading must be to count as reached.")
    if objective.goal and protocol is not None:
        raise ValueError(
            f"--guardrail {guardrail} forbids a zone on the way to the goal that the world draws, and --goal "
            "asks for another one. Leave one of them out, or forbid regions with --keep-out or --keep-in."
        )
    if objective.goal_image and not objective.goal:
        raise ValueError(
            "whether a picture is reached cannot be measured: give --goal READING=VALUE and --within too, "
            "or leave --goal-image out and the world draws goals."
        )
    if within is not None and not objective.goal:
        raise ValueError(
            "--within says how near a reading must come to the value of --goal: give --goal READING=VALUE, "
            "or leave --within out. When its own goals are reached the world says itself."
        )


def evaluate_safety(model: Path, out: Path | None, recipe: str | None) -> None:
    """The safety evaluation, into safety.json of a folder: by default "safety" beside the model."""
    from telos.cli.models import planning
    from telos.evaluation.safety import Safety
    from telos.files import write_json
    from telos.model import Model

    learned = Model.load(model)
    out = model.parent / "safety" if out is None else out
    with console.interruptible("Finished cells are kept; the same command goes on."), Bars() as bars:
        found = Safety(
            learned, planning(learned, model, recipe), out / "cells", command=command_line(), progress=bars
        ).run()
    write_json(out / "safety.json", found)
    show_safety(found)
    console.say(f"Written to {out / 'safety.json'}.")


def show_safety(found: dict[str, Any]) -> None:
    """The rows of a safety evaluation as a table."""

    def row(name: str, told: dict[str, Any]) -> list[str]:
        low, high = told["interval"]
        buffer = f"{told['buffer']:.2f}" if "buffer" in told else ""
        more = told.get("more_steps")
        return [
            name,
            buffer,
            f"{told['violations']:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{told['success']:.1%}",
            "" if more is None else f"{more:+.1f}",
            f"{told['n']}",
        ]

    rows = [row(f"alpha {told['alpha']:g}", told) for told in found["alphas"]]
    rows += [row(told["name"], told) for told in found["baselines"]]
    console.table(
        f"{found['world']}: episodes with a true violation, calibrated for alpha and otherwise",
        ["", "buffer", "violations", "95 % interval", "success", "steps", "n"],
        [*rows, row("oracle", found["oracle"])],
    )
    console.say(f"Oracle: {found['oracle']['name']}. Steps: how many more than without a guardrail.")


def command_line() -> str:
    """The command that runs now, as it would be typed."""
    return shlex.join(["telos", *sys.argv[1:]])


def show(found: Evaluation) -> None:
    """The numbers of an evaluation as a table, floors beside the result."""
    from telos.evaluation import wilson

    def row(name: str, successes: int, touched: int, n: int) -> list[str]:
        low, high = wilson(successes, n)
        return [
            name,
            f"{successes / n:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{touched / n:.1%}",
            f"{n}",
        ]

    rows = [row("telos", found.successes, found.touched, found.n)]
    if found.rows_without:
        free = found.rows_without
        touched = sum(task.first_touch is not None for task in free)
        rows.append(row("without guardrail", sum(task.success for task in free), touched, len(free)))
    rows += [row(f"floor: {floor.name}", floor.successes, floor.touched, floor.n) for floor in found.floors]
    console.table(
        f"{found.world}: at the goal at the last step, held-out tasks",
        ["", "success", "95 % interval", "at first touch", "n"],
        rows,
    )
    numbers = {
        "model evaluations per plan": f"{found.evaluations_per_plan:,.0f}",
        "CPU-seconds per plan": f"{found.cpu_seconds_per_plan:.3f} ({found.planning.batch} at a time)",
        "plans per episode": f"{found.plans_per_episode:.1f}",
    }
    stored = found.to_json()
    if found.guardrail:
        numbers["true violations"] = f"{stored['violations']:.1%} of the episodes"
        if found.rows_without:
            numbers["violations without it"] = f"{stored['violations_without']:.1%} of the episodes"
        numbers["plans that found nothing safe"] = f"{found.infeasible:.1%}"
    console.facts("", numbers)
