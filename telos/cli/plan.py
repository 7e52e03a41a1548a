"""`telos plan`: one plan from a picture, or one episode in a world, towards a goal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from telos.cli import console
from telos.cli.objective import Aim, Objective, goals, guardrails, read_image, regions
from telos.cli.progress import Bars

if TYPE_CHECKING:
    from torch import Tensor

    from telos.evaluation import Recording
    from telos.model import Model
    from telos.types import Plan


def plan(
    objective: Annotated[Objective, tyro.conf.arg(name="")],
    *,
    model: Path,
    start_image: Path | None = None,
    world: str | None = None,
    seed: int | None = None,
    recipe: str | None = None,
    out: Path | None = None,
) -> None:
    """Plan towards a goal: one plan from a picture, or a whole episode in a world, and draw it.

    Args:
        objective: what is asked; without a goal, the world draws one.
        model: the checkpoint that `telos train` wrote.
        start_image: plan once from this picture, without a world; needs a goal.
        world: a telos name, a Gymnasium id, or package.module:Class; by default the model's.
        seed: of the episode; by default the first task for development.
        recipe: plan as this recipe says; by default the one that the model was trained with.
        out: the picture, .png for one plan and .gif for an episode; by default "plan" in this folder.
    """
    from telos.cli.models import world_of
    from telos.model import Model

    if start_image is not None and (world, seed) != (None, None):
        raise ValueError(
            "--world and --seed are of an episode in a world, and --start-image plans once, from a picture: "
            "leave those out, or leave --start-image out."
        )
    learned = Model.load(model)
    if start_image is not None:
        once(objective, learned, model, start_image, recipe, Path("plan.png") if out is None else out)
    else:
        name = world_of(learned, world)
        out = Path("plan.gif") if out is None else out
        episode(objective, learned, model, name, seed=seed, recipe=recipe, out=out)


def once(
    objective: Objective, model: Model, checkpoint: Path, image: Path, recipe: str | None, out: Path
) -> None:
    """One plan from a picture."""
    import time

    import torch

    from telos.actor import mean
    from telos.cli.models import planning
    from telos.types import Level, Observation, Problem

    still = Observation.from_frames(read_image(image, model.config.frame_shape).copy())
    assert still.pixels is not None
    seen = Observation(still.pixels.expand(-1, model.config.frames, -1, -1, -1))
    cost = goals(objective, model, None)
    chosen = planning(model, checkpoint, recipe).explore
    with torch.no_grad():
        state = model.encode(seen)
    began = time.process_time()
    found = chosen.planner(
        Problem(
            state=state,
            levels=(Level(model.rollout, model.config.action_space, resume=model.resume),),
            cost=cost,
            aggregate=mean,
            horizon=chosen.horizon,
            generator=torch.Generator().manual_seed(0),
            guardrails=guardrails(objective, model),
            budget=chosen.budget,
        )
    )
    seconds = time.process_time() - began
    console.facts("Plan", {**_found(found), "CPU-seconds": f"{seconds:.3f}"})
    _draw(model, state, found, out)


def _found(found: Plan) -> dict[str, str]:
    violation = float(found.violation[0])
    return {
        "status": found.status[0].value,
        "energy": f"{float(found.energy[0]):.4g}",
        "violation": "no guardrails" if violation == float("-inf") else f"{violation:.3g} at worst",
        "model evaluations": f"{found.evaluations:,}",
        "first action": ", ".join(f"{value:.3g}" for value in found.actions[0, 0].tolist()),
    }


def _draw(model: Model, state: Tensor, found: Plan, out: Path) -> None:
    """A strip of what the plan imagines, at most eight frames of it."""
    import torch

    from telos.cli.pictures import save_strip

    if model.decoder is None:
        console.say("The model has no decoder, so there is no picture of what it imagines.")
        return
    states = found.trajectory.states[0, 0, 0]
    shown = torch.linspace(0, len(states) - 1, min(8, len(states))).round().long()
    frames = model.decode(states[shown], perceived=state[0]).cpu().numpy()
    block = model.config.action_space.block
    titles = [f"+{int(index) * block} steps" for index in shown]
    save_strip([*frames], ["now, decoded", *titles[1:]], out)
    console.say(f"What it imagines: {out}")


def episode(
    objective: Objective,
    model: Model,
    checkpoint: Path,
    name: str,
    *,
    seed: int | None,
    recipe: str | None,
    out: Path,
) -> None:
    """A whole episode in a world."""
    from telos.cli.models import planning
    from telos.cli.pictures import save_episode
    from telos.evaluation import DEV_SEED, Record, evaluate
    from telos.worlds import make

    made = make(name)
    try:
        with console.interruptible("Nothing was written."), Bars() as bars:
            found = evaluate(
                model,
                made,
                tasks=1,
                seed=DEV_SEED if seed is None else seed,
                configurator=planning(model, checkpoint, recipe),
                aim=Aim(objective),
                guardrail=regions(objective),
                compare=False,
                floors=False,
                record=Record(1, 1),
                progress=bars,
            )
    finally:
        made.close()
    record = found.recordings[0]
    _plans(record)
    own = objective.goal_image is None and not objective.goal
    goal = record.goal_frame if own else None
    if objective.goal_image is not None:
        goal = read_image(objective.goal_image, model.config.frame_shape)
    row = found.rows[0]
    console.facts(
        "Episode",
        {
            "world": f"{found.world}, seed {row.seed}",
            **(
                {"at the goal at the last step": "yes" if row.success else f"no: {row.reason}"} if own else {}
            ),
            **{
                f"{name} at the end": ", ".join(f"{value:.3g}" for value in values[-1])
                for name, values in record.readings.items()
            },
            **({"worst true violation": f"{row.violation:.3g}"} if row.violation is not None else {}),
            "model evaluations per plan": f"{found.evaluations_per_plan:,.0f}",
            "CPU-seconds per plan": f"{found.cpu_seconds_per_plan:.3f}",
        },
    )
    save_episode(record, goal, out)
    console.say(f"What happened, beside what was imagined: {out}")


def _plans(record: Recording) -> None:
    """The plans of an episode: all of a short one, the first and last of a long one."""
    rows = [
        [
            f"{plan.step}",
            plan.status + (" (safe action)" if plan.safe else ""),
            "" if plan.energy is None else f"{plan.energy:.4g}",
            "" if plan.violation is None else f"{plan.violation:.3g}",
        ]
        for plan in record.plans
    ]
    if len(rows) > 12:
        rows = [*rows[:6], ["...", "", "", ""], *rows[-6:]]
    console.table("Plans", ["step", "status", "energy", "predicted violation"], rows)
