"""Episodes: run tasks in a batch of worlds, full length, and write down what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from telos.cost import ReadingGuardrail
from telos.errors import NoTask, WorldError
from telos.evaluation.diagnosis import Ending, diagnose, distance
from telos.evaluation.recording import ImaginedPlan, Recording, Zone
from telos.evaluation.result import Planning, TaskRow
from telos.progress import Progress, silent
from telos.types import Reading, World

Guardrails = Sequence[ReadingGuardrail]
DrawGuardrails = Callable[[World, Sequence[int]], Guardrails]
"""The guardrails of the episodes that `world` has just begun from these seeds; B is `world.num`."""

_GRID = 64


@dataclass(frozen=True)
class Decision:
    """One plan of one episode."""

    step: int
    evaluations: int
    infeasible: bool = False
    safe: bool = False
    predicted: float | None = None


class Policy(Protocol):
    """What acts in a batch of episodes: an agent, or a floor."""

    def begin(self, world: World, guardrails: Guardrails) -> None:
        """The world has begun tasks, and these guardrails are to be held."""
        ...

    def act(self, frames: np.ndarray) -> np.ndarray:
        """The newest frames, uint8 `[num, H, W, C]`, to actions `[num, A]`."""
        ...

    def decisions(self, copy: int) -> Sequence[Decision]:
        """The plans of one copy's episode so far."""
        ...

    def imagined(self, copy: int) -> tuple[ImaginedPlan, ...]:
        """What was imagined in one copy's episode, for people to look at."""
        ...


@dataclass(frozen=True)
class Record:
    """Which episodes are recorded with frames and plans: the first of each kind, and those of these seeds."""

    successes: int = 0
    failures: int = 0
    seeds: frozenset[int] = frozenset()

    def less(self, recordings: Sequence[Recording]) -> Record:
        """How many are still to be recorded."""
        good = sum(record.success for record in recordings)
        bad = len(recordings) - good
        return Record(max(self.successes - good, 0), max(self.failures - bad, 0), self.seeds)

    def choose(self, rows: Sequence[TaskRow]) -> list[int]:
        """The positions of the rows to record."""
        good = [copy for copy, row in enumerate(rows) if row.success][: self.successes]
        bad = [copy for copy, row in enumerate(rows) if not row.success][: self.failures]
        return sorted({*good, *bad, *(copy for copy, row in enumerate(rows) if row.seed in self.seeds)})


@dataclass(frozen=True)
class Run:
    """What came of some tasks."""

    rows: tuple[TaskRow, ...]
    planning: Planning
    recordings: tuple[Recording, ...] = ()


def run_episodes(
    policy: Policy,
    world: World,
    seeds: Sequence[int],
    *,
    guardrails: DrawGuardrails | None = None,
    hold: bool = True,
    record: Record | None = None,
    progress: Progress = silent,
    stage: str = "evaluate",
) -> Run:
    """Do one task of held-out layouts per seed, `world.num` at a time, each for `world.episode_steps` steps.

    Nothing stops early: success is being at the goal at the last step.

    Args:
        guardrails: draws those of each batch; true violations are measured after every step.
        hold: whether the policy is told of them; otherwise they are only measured.
        record: how many episodes to keep with frames and plans.
        progress: told of environment steps.

    Raises:
        WorldError: readings have NaN or a shape that the world did not declare.
    """
    if not seeds:
        raise ValueError("seeds must hold at least one; got none.")
    rows: list[TaskRow] = []
    recordings: list[Recording] = []
    planning = Planning(batch=world.num)
    total = -(-len(seeds) // world.num) * world.episode_steps
    for first in range(0, len(seeds), world.num):
        part = [*seeds[first : first + world.num]]
        wanted = (record or Record()).less(recordings)
        batch = _Batch(world, [*part, *[part[-1]] * (world.num - len(part))], guardrails, wanted)
        done = first // world.num * world.episode_steps
        cpu = batch.run(policy, hold, lambda step, done=done: progress(stage, done + step, total))
        decided = [policy.decisions(copy) for copy in range(world.num)]
        planning = planning + Planning(
            plans=sum(map(len, decided)),
            evaluations=sum(decision.evaluations for some in decided for decision in some),
            cpu_seconds=cpu,
            episodes=world.num,
            batch=world.num,
        )
        found = [batch.row(copy, decided[copy]) for copy in range(len(part))]
        recordings += batch.record(policy, found)
        rows += found
    return Run(tuple(rows), planning, tuple(recordings))


class _Batch:
    """`world.num` tasks that run together, and their log."""

    def __init__(
        self, world: World, seeds: list[int], guardrails: DrawGuardrails | None, wanted: Record
    ) -> None:
        self._world, self._seeds, self._wanted = world, seeds, wanted
        self._present = world.reset(seeds, split="heldout", task=True)
        self._goal_frames = _goal_frames(world)
        self._goals = world.goal_readings()
        self._layouts = world.layouts()
        self._guardrails: Guardrails = tuple(guardrails(world, seeds)) if guardrails else ()
        self._keep = wanted.successes + wanted.failures > 0 or not wanted.seeds.isdisjoint(seeds)
        self._frames: list[np.ndarray] = []
        self._log: list[dict[str, np.ndarray]] = []
        self._reached: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []
        self._note()

    def run(self, policy: Policy, hold: bool, tick: Callable[[int], None]) -> float:
        """Run the episodes to their end; the CPU seconds that the policy took."""
        policy.begin(self._world, self._guardrails if hold else ())
        seconds = 0.0
        for step in range(self._world.episode_steps):
            began = cpu_seconds()
            actions = policy.act(self._present)
            seconds += cpu_seconds() - began
            self._present = self._world.step(actions)
            self._actions.append(actions)
            self._note()
            tick(step + 1)
        self._readings = {name: np.stack([now[name] for now in self._log]) for name in self._log[0]}
        self._touched = np.stack(self._reached)
        self._violation = self._true_violation()
        return seconds

    def row(self, copy: int, decisions: Sequence[Decision]) -> TaskRow:
        """What came of one copy's task."""
        touched = np.flatnonzero(self._touched[:, copy])
        signed = None if self._violation is None else self._violation[1:, copy]
        predicted = [each.predicted for each in decisions if each.predicted is not None and not each.safe]
        success = bool(self._touched[-1, copy])
        safe = sum(each.safe for each in decisions)
        ending = Ending(
            readings={name: values[:, copy] for name, values in self._readings.items()},
            goal={name: values[copy] for name, values in self._goals.items()},
            actions=np.stack(self._actions)[:, copy],
            layout=int(self._layouts[copy]),
            first_touch=int(touched[0]) if len(touched) else None,
            safe_share=safe / max(len(decisions), 1),
        )
        return TaskRow(
            seed=int(self._seeds[copy]),
            layout=ending.layout,
            success=success,
            first_touch=ending.first_touch,
            start_distance=self._distance(0, copy),
            final_distance=self._distance(-1, copy),
            plans=len(decisions),
            infeasible=sum(each.infeasible for each in decisions),
            safe=safe,
            predicted=max(predicted, default=None),
            violation=None if signed is None else float(signed.max()),
            violated_steps=0 if signed is None else int((signed > 0).sum()),
            reason="" if success else diagnose(ending, self._world),
        )

    def record(self, policy: Policy, rows: Sequence[TaskRow]) -> list[Recording]:
        """Recordings of those among these rows that are wanted."""
        return [
            Recording(
                seed=rows[copy].seed,
                success=rows[copy].success,
                reason=rows[copy].reason,
                frames=np.stack([frames[copy] for frames in self._frames]),
                goal_frame=None if self._goal_frames is None else self._goal_frames[copy],
                readings={name: values[:, copy] for name, values in self._readings.items()},
                goal_readings={name: values[copy] for name, values in self._goals.items()},
                units={name: reading.unit for name, reading in self._world.readings.items()},
                first_touch=rows[copy].first_touch,
                zones=tuple(
                    zone
                    for guardrail in self._guardrails
                    if (zone := zone_of(guardrail, copy, self._world.readings)) is not None
                ),
                plans=policy.imagined(copy),
            )
            for copy in self._wanted.choose(rows)
        ]

    def _note(self) -> None:
        readings = self._world.read()
        for name, values in readings.items():
            if not np.isfinite(values).all():
                raise WorldError(
                    f"{self._world.id}: the reading '{name}' is not finite at step {len(self._log)}."
                )
        self._log.append({name: values.copy() for name, values in readings.items()})
        self._reached.append(np.asarray(self._world.reached()).copy())
        if self._keep:
            self._frames.append(self._present.copy())

    def _distance(self, step: int, copy: int) -> dict[str, float]:
        return {
            name: distance(self._readings[name][step, copy], goal[copy]) for name, goal in self._goals.items()
        }

    def _true_violation(self) -> np.ndarray | None:
        """Signed violation `[T+1, num]` of the worst guardrail, from the true readings."""
        if not self._guardrails:
            return None
        each = []
        for guardrail in self._guardrails:
            readings = torch.from_numpy(self._readings[guardrail.name]).double().transpose(0, 1)
            each.append(guardrail.violation_of(readings).numpy().T)
        return np.max(each, axis=0)


def _goal_frames(world: World) -> np.ndarray | None:
    """How the goals look, uint8 `[num, H, W, C]`; None where they are no pictures."""
    try:
        return world.goal_frames()
    except NoTask:
        return None


def zone_of(guardrail: ReadingGuardrail, copy: int, readings: Mapping[str, Reading]) -> Zone | None:
    """The map of one problem's guardrail; None unless its reading has two bounded dimensions."""
    reading = readings.get(guardrail.name)
    if reading is None or reading.size != 2 or reading.low is None or reading.high is None:
        return None
    if not np.isfinite([*reading.low, *reading.high]).all():
        return None
    (left, top), (right, bottom) = reading.low, reading.high
    xs, ys = np.linspace(left, right, _GRID), np.linspace(top, bottom, _GRID)
    points = torch.from_numpy(np.stack(np.meshgrid(xs, ys), axis=-1))[None]
    violation = guardrail.select(torch.tensor([copy])).violation_of(points)[0]
    return Zone(guardrail.name, (left, right, top, bottom), violation.float().numpy())


def cpu_seconds() -> float:
    """User and system time of this process so far, over all its threads."""
    return time.process_time()
