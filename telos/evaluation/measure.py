"""Evaluate an agent in a world: held-out tasks, floors on the same tasks, guardrails with and without."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from telos.configurator import Configure
from telos.data import Persistent, Uniform
from telos.errors import UnknownName
from telos.evaluation.encoding import label_counts
from telos.evaluation.episodes import DrawGuardrails, Record, Run, run_episodes
from telos.evaluation.plain import machine, plain, versions
from telos.evaluation.policies import AgentPolicy, Aim, Blind, NoOp, aim_at_picture
from telos.evaluation.result import Evaluation, Floor
from telos.evaluation.zones import Across, GuardrailProtocol
from telos.progress import Progress, silent
from telos.types import ActionSpace, World
from telos.worlds import make

if TYPE_CHECKING:
    from telos.model import Model

DEV_SEED = 1_000_000
"""Seeds of tasks from here on are for tuning. The split keeps tasks apart from experience, not their seeds:
episodes are collected from seeds of all 32 bits, in layouts of "train"."""

TEST_SEED = 2_000_000
"""Seeds of tasks from here on are for the rows that are published: run once."""

PROTOCOLS = {"across": Across()}


def evaluate(
    model: Model,
    world: str | World,
    *,
    tasks: int = 50,
    seed: int = DEV_SEED,
    batch: int = 64,
    configurator: Configure | None = None,
    aim: Aim = aim_at_picture,
    guardrail: str | GuardrailProtocol | None = None,
    compare: bool = True,
    floors: bool = True,
    record: Record | None = None,
    command: str = "",
    progress: Progress = silent,
) -> Evaluation:
    """Give the agent `tasks` tasks in held-out layouts, and measure.

    Args:
        model: what was learned; its agent plans with `configurator` (the model's own by default).
        world: the name of one (`telos.worlds.make`), or a world, whose `num` is then the batch.
        tasks: n, how many. They have the seeds from `seed` on (with a guardrail protocol, those that it
            applies to).
        batch: at most so many episodes are planned together.
        aim: how the agent is given its task; by default the picture of the goal.
        guardrail: "across" (Rooms), or any guardrail protocol.
        compare: with a guardrail, do the same tasks without holding it as well.
        floors: measure what doing nothing, and acting at random, reach on the same tasks.
        record: how many successes and failures are kept to look at.
        command: what was run, to be stored with the numbers.
        progress: told of environment steps, in stages "evaluate", "without guardrail" and "floors".

    Raises:
        ValueError: tasks, batch or seed are out of range.
        UnknownName: there is no such world, guardrail protocol or readout.
    """
    if tasks < 1 or batch < 1 or seed < 0:
        raise ValueError(
            f"tasks and batch must be at least 1 and seed at least 0; got {tasks}, {batch} and {seed}."
        )
    protocol = protocol_of(guardrail)
    setting = _Setting(model, configurator or model.configurator, aim, seed)
    opened = make(world, _even(tasks, batch)) if isinstance(world, str) else world
    try:
        _check_fit(model, opened)
        seeds = protocol.seeds(opened, seed, tasks) if protocol else [*range(seed, seed + tasks)]
        draw = partial(protocol.guardrails, model) if protocol else None
        run = setting.run(opened, seeds, draw, hold=True, record=record, progress=progress)
        recordings, without = run.recordings, None
        if protocol and compare:
            same = Record(seeds=frozenset(record.seed for record in recordings))
            without = setting.run(opened, seeds, draw, hold=False, record=same, progress=progress)
            paths = {record.seed: record.readings for record in without.recordings}
            recordings = tuple(replace(record, without=paths[record.seed]) for record in recordings)
        return Evaluation(
            world=opened.id,
            rows=run.rows,
            rows_without=without.rows if without else (),
            planning=run.planning,
            floors=_floors(opened, seeds, seed, progress) if floors else (),
            guardrail=_named(guardrail, protocol),
            units={name: reading.unit for name, reading in opened.readings.items()},
            config={
                "tasks": tasks,
                "seed": seed,
                "split": "heldout",
                "episode_steps": opened.episode_steps,
                "batch": opened.num,
                "configurator": plain(setting.configurator),
                "aim": plain(aim),
                "guardrail": plain(protocol),
                "model": plain(model.config),
                "labels": label_counts(model),
            },
            versions=versions(),
            machine=machine(),
            command=command,
            recordings=recordings,
        )
    finally:
        if isinstance(world, str):
            opened.close()


@dataclass(frozen=True)
class _Setting:
    """What stays the same in all runs of an evaluation."""

    model: Model
    configurator: Configure
    aim: Aim
    seed: int

    def run(
        self,
        world: World,
        seeds: Sequence[int],
        draw: DrawGuardrails | None,
        *,
        hold: bool,
        record: Record | None,
        progress: Progress,
    ) -> Run:
        """The agent on these tasks, with randomness that starts anew."""
        policy = AgentPolicy(self.model, configurator=self.configurator, aim=self.aim, seed=self.seed)
        return run_episodes(
            policy,
            world,
            seeds,
            guardrails=draw,
            hold=hold,
            record=record,
            progress=progress,
            stage="evaluate" if hold else "without guardrail",
        )


@dataclass(frozen=True)
class _Part:
    """The progress of one of `parts` equal parts of a stage."""

    progress: Progress
    number: int
    parts: int

    def __call__(self, stage: str, done: int, total: int, **values: float) -> None:
        self.progress(stage, self.number * total + done, self.parts * total, **values)


def _resting(world: World) -> str:
    """What doing nothing is."""
    return "action 0, all the time" if world.action_space.one_hot else "the allowed action nearest to zero"


def _floors(world: World, seeds: Sequence[int], seed: int, progress: Progress) -> tuple[Floor, ...]:
    """What needs no model, on the same tasks."""
    rivals = (
        ("no-op", _resting(world), NoOp()),
        ("random", "each action uniform in the action space", Blind(Uniform(), seed=seed)),
        (
            "exploration",
            "a persistent random walk, as experience is collected",
            Blind(Persistent(), seed=seed),
        ),
    )
    found = []
    for number, (name, description, policy) in enumerate(rivals):
        part = _Part(progress, number, len(rivals))
        rows = run_episodes(policy, world, seeds, progress=part, stage="floors").rows
        found.append(
            Floor(
                name=name,
                policy=description,
                n=len(rows),
                successes=sum(row.success for row in rows),
                touched=sum(row.first_touch is not None for row in rows),
            )
        )
    return tuple(found)


def protocol_of(guardrail: str | GuardrailProtocol | None) -> GuardrailProtocol | None:
    """A guardrail protocol by its name ("across", or "none"), or itself."""
    if not isinstance(guardrail, str):
        return guardrail
    if guardrail == "none":
        return None
    if guardrail not in PROTOCOLS:
        raise UnknownName("guardrail protocol", guardrail, [*PROTOCOLS, "none"])
    return PROTOCOLS[guardrail]


def _named(guardrail: str | GuardrailProtocol | None, protocol: GuardrailProtocol | None) -> str:
    if protocol is None:
        return ""
    return guardrail if isinstance(guardrail, str) else type(protocol).__name__.lower()


def _even(tasks: int, batch: int) -> int:
    """The smallest batch that does the tasks in as few rounds as the largest one."""
    return math.ceil(tasks / math.ceil(tasks / batch))


def _check_fit(model: Model, world: World) -> None:
    """`ValueError` where model and world do not belong together."""
    learned, given = model.config.action_space, world.action_space
    if tuple(model.config.frame_shape) != tuple(world.frame_shape) or _kind(learned) != _kind(given):
        raise ValueError(
            f"model must have been trained on frames {list(world.frame_shape)} and {_kind(given)}, as "
            f"{world.id} has; it knows {list(model.config.frame_shape)} and {_kind(learned)}. "
            "Evaluate it in the world it was trained in."
        )


def _kind(space: ActionSpace) -> str:
    return f"{space.dimension} {'discrete actions' if space.one_hot else 'action dimensions'}"
