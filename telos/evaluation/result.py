"""What an evaluation found: one row per task, and everything that follows from the rows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telos.errors import TelosError
from telos.evaluation.archive import dump, load_with_arrays, read_json, save_with_arrays
from telos.evaluation.intervals import median, wilson
from telos.evaluation.recording import Recording
from telos.files import atomic_path

FORMAT = "telos-evaluation"
VERSION = 1


@dataclass(frozen=True)
class TaskRow:
    """One task: what came of it."""

    seed: int
    layout: int
    success: bool  # at the goal at the last step
    first_touch: int | None  # environment steps until first at the goal
    start_distance: dict[str, float] = field(default_factory=dict)  # to the goal's readings, by name
    final_distance: dict[str, float] = field(default_factory=dict)
    plans: int = 0
    infeasible: int = 0  # plans in which the search found nothing that holds the guardrails
    safe: int = 0  # plans instead of which the safe action was executed
    predicted: float | None = None  # worst violation that a plan that was executed predicted
    violation: float | None = None  # worst true signed violation at steps 1..T, in the reading's units
    violated_steps: int = 0  # environment steps that ended in violation
    reason: str = ""  # why it failed, as far as the readings tell


@dataclass(frozen=True)
class Floor:
    """What a policy without a model reaches on the same tasks."""

    name: str  # "no-op", "random" or "exploration"
    policy: str  # what it does
    n: int
    successes: int  # at the last step
    touched: int

    @property
    def success(self) -> float:
        """Share of tasks at the goal at the last step."""
        return _share(self.successes, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of `success`."""
        return wilson(self.successes, self.n)


@dataclass(frozen=True)
class Planning:
    """What planning cost, summed over plans: one per problem and planning."""

    plans: int = 0
    evaluations: int = 0  # predictor rows
    cpu_seconds: float = 0.0  # user and system time of the process inside `agent.act`
    episodes: int = 0
    batch: int = 1  # episodes that were planned together

    def __add__(self, other: Planning) -> Planning:
        return Planning(
            self.plans + other.plans,
            self.evaluations + other.evaluations,
            self.cpu_seconds + other.cpu_seconds,
            self.episodes + other.episodes,
            max(self.batch, other.batch),
        )


@dataclass(frozen=True)
class Evaluation:
    """n tasks of one world, done by one agent (or several: `pool`), and what the floors are.

    `rows_without` holds the same tasks with the same forbidden regions, planned without the guardrail.
    Every rate is a property, computed from the rows.
    """

    world: str
    rows: tuple[TaskRow, ...]
    planning: Planning = Planning()
    floors: tuple[Floor, ...] = ()
    guardrail: str = ""  # what was held; empty without any
    rows_without: tuple[TaskRow, ...] = ()
    units: dict[str, str] = field(default_factory=dict)  # of the readings
    config: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, Any] = field(default_factory=dict)
    command: str = ""
    recordings: tuple[Recording, ...] = field(default=(), compare=False, repr=False)  # not in the JSON

    @property
    def n(self) -> int:
        """How many tasks."""
        return len(self.rows)

    @property
    def successes(self) -> int:
        """Tasks at their goal at the last step."""
        return sum(row.success for row in self.rows)

    @property
    def success(self) -> float:
        """Share of tasks at their goal at the last step."""
        return _share(self.successes, self.n)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of `success`."""
        return wilson(self.successes, self.n)

    @property
    def touched(self) -> int:
        """Tasks that were at their goal at some step."""
        return sum(row.first_touch is not None for row in self.rows)

    @property
    def steps_to_goal(self) -> float | None:
        """Median environment steps to the first touch, over the tasks that touched their goal."""
        return median([row.first_touch for row in self.rows if row.first_touch is not None])

    @property
    def noop(self) -> float | None:
        """Success of doing nothing; None if it was not measured."""
        return next((floor.success for floor in self.floors if floor.name == "no-op"), None)

    @property
    def random(self) -> float | None:
        """Success of the better of the policies that act at random; None if none was measured."""
        best = self.random_floor
        return best.success if best else None

    @property
    def random_floor(self) -> Floor | None:
        """The better of the policies that act at random."""
        rivals = [floor for floor in self.floors if floor.name != "no-op"]
        return max(rivals, key=lambda floor: floor.success, default=None)

    @property
    def evaluations_per_plan(self) -> float:
        """Predictor rows per plan."""
        return _share(self.planning.evaluations, self.planning.plans)

    @property
    def cpu_seconds_per_plan(self) -> float:
        """CPU seconds per plan, amortised over the episodes that were planned together."""
        return _share(self.planning.cpu_seconds, self.planning.plans)

    @property
    def plans_per_episode(self) -> float:
        """Plans per episode."""
        return _share(self.planning.plans, self.planning.episodes)

    @property
    def infeasible(self) -> float:
        """Share of plans in which the search found nothing that holds the guardrails."""
        return _share(sum(row.infeasible for row in self.rows), sum(row.plans for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """Everything but the recordings: what follows from the rows first, then what was stored."""
        best = self.random_floor
        found: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
            "command": self.command,
            "world": self.world,
            "n": self.n,
            "success": self.success,
            "interval": list(self.interval),
            "success_at_first_touch": _share(self.touched, self.n),
            "interval_at_first_touch": list(wilson(self.touched, self.n)),
            "steps_to_goal": self.steps_to_goal,
            "noop": self.noop,
            "random": self.random,
            "random_policy": best.policy if best else None,
            "evaluations_per_plan": self.evaluations_per_plan,
            "cpu_seconds_per_plan": self.cpu_seconds_per_plan,
            "plans_per_episode": self.plans_per_episode,
        }
        if self.guardrail:
            found |= self._guarded()
        stored = {
            "config": self.config,
            "versions": self.versions,
            "machine": self.machine,
            "units": self.units,
            "guardrail": self.guardrail,
            "planning": dataclasses.asdict(self.planning),
            "floors": [
                {**dataclasses.asdict(floor), "success": floor.success, "interval": list(floor.interval)}
                for floor in self.floors
            ],
            "rows": [_finite(dataclasses.asdict(row)) for row in self.rows],
            "rows_without": [_finite(dataclasses.asdict(row)) for row in self.rows_without],
        }
        return found | stored

    def _guarded(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "violations": violations(self.rows),
            "violations_interval": list(wilson(*_violated(self.rows))),
            "deepest_violation": deepest(self.rows),
            "predicted_violations": _share(
                sum((row.predicted or 0.0) > 0 for row in self.rows), len(self.rows)
            ),
            "infeasible": self.infeasible,
        }
        if self.rows_without:
            successes = sum(row.success for row in self.rows_without)
            found |= {
                "success_without": _share(successes, len(self.rows_without)),
                "interval_without": list(wilson(successes, len(self.rows_without))),
                "violations_without": violations(self.rows_without),
                "violations_without_interval": list(wilson(*_violated(self.rows_without))),
                "deepest_violation_without": deepest(self.rows_without),
            }
        return found

    @staticmethod
    def from_json(value: Any) -> Evaluation:
        """Read what `to_json` gave; `TelosError` if it is something else."""
        if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("version") != VERSION:
            raise TelosError(
                f"This is not an evaluation of version {VERSION} (no 'format': '{FORMAT}'). Evaluate again."
            )
        try:
            return Evaluation(
                rows=tuple(TaskRow(**row) for row in value["rows"]),
                rows_without=tuple(TaskRow(**row) for row in value["rows_without"]),
                planning=Planning(**value["planning"]),
                floors=tuple(
                    Floor(**{key: floor[key] for key in ("name", "policy", "n", "successes", "touched")})
                    for floor in value["floors"]
                ),
                world=value["world"],
                guardrail=value["guardrail"],
                units=value["units"],
                config=value["config"],
                versions=value["versions"],
                machine=value["machine"],
                command=value["command"],
            )
        except (KeyError, TypeError) as error:
            raise TelosError(f"The evaluation is damaged ({error!r}). Evaluate again.") from error

    def save(self, folder: str | Path) -> None:
        """Write `recordings.npz` and then `evaluation.json` into `folder`, each atomically."""
        records = [record.to_plain() for record in self.recordings]
        save_with_arrays(Path(folder) / "recordings.npz", records)
        self.write(Path(folder) / "evaluation.json")

    def write(self, path: str | Path) -> None:
        """Write `to_json` to one file, atomically: a row of the results table."""
        with atomic_path(path) as aside:
            aside.write_text(dump(self.to_json()))

    @staticmethod
    def load(folder: str | Path) -> Evaluation:
        """Read what `save` wrote, with its recordings."""
        folder = Path(folder)
        evaluation = Evaluation.from_json(read_json(folder / "evaluation.json"))
        records = tuple(Recording.from_plain(item) for item in load_with_arrays(folder / "recordings.npz"))
        return dataclasses.replace(evaluation, recordings=records)


def pool(evaluations: Sequence[Evaluation]) -> Evaluation:
    """One evaluation out of several of the same world: of models that differ in their training seed, say.

    Rows, floors and costs are joined; the configuration is that of the first, with how many there were.
    The interval takes all tasks as independent, so give each evaluation seeds of its own.
    """
    if not evaluations:
        raise ValueError("evaluations must hold at least one; got none.")
    worlds = {evaluation.world for evaluation in evaluations}
    if len(worlds) > 1:
        raise ValueError(f"evaluations must be of one world; got {', '.join(sorted(worlds))}.")
    first = evaluations[0]
    planning = Planning(batch=0)
    floors: dict[str, Floor] = {}
    for evaluation in evaluations:
        planning = planning + evaluation.planning
        for floor in evaluation.floors:
            before = floors.get(floor.name, Floor(floor.name, floor.policy, 0, 0, 0))
            floors[floor.name] = Floor(
                floor.name,
                floor.policy,
                before.n + floor.n,
                before.successes + floor.successes,
                before.touched + floor.touched,
            )
    return dataclasses.replace(
        first,
        rows=tuple(row for evaluation in evaluations for row in evaluation.rows),
        rows_without=tuple(row for evaluation in evaluations for row in evaluation.rows_without),
        planning=planning,
        floors=tuple(floors.values()),
        config={
            **first.config,
            "pooled": [
                {"n": evaluation.n, "success": evaluation.success, "seed": evaluation.config.get("seed")}
                for evaluation in evaluations
            ],
        },
        recordings=tuple(record for evaluation in evaluations for record in evaluation.recordings),
    )


def violations(rows: Sequence[TaskRow]) -> float:
    """Share of episodes with a true violation at any step."""
    return _share(*_violated(rows))


def deepest(rows: Sequence[TaskRow]) -> float | None:
    """The worst true violation of all episodes, in the reading's units (negative: the least room left)."""
    return max((row.violation for row in rows if row.violation is not None), default=None)


def _violated(rows: Sequence[TaskRow]) -> tuple[int, int]:
    return sum(row.violated_steps > 0 for row in rows), len(rows)


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _finite(value: Any) -> Any:
    """The same with None for the numbers that JSON has no word for."""
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
