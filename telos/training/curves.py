"""Where the curves of a run go: always into its folder, and to a tracking service if one is asked for."""

from __future__ import annotations

import hashlib
import importlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol, get_args

from telos.errors import TelosError, UnknownName
from telos.files import atomic_path
from telos.training.events import EventFile

METRICS = "metrics.jsonl"

TrackerName = Literal["wandb", "trackio"]


class Tracker(Protocol):
    """What receives curves beside the run's folder."""

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """The values of a step of a stage."""
        ...

    def finish(self) -> None:
        """No more comes."""
        ...


class Curves:
    """`metrics.jsonl` and TensorBoard's event file in the run's folder; what lost steps wrote is dropped."""

    def __init__(
        self,
        folder: Path,
        *,
        stage: str,
        step: int,
        finished: list[str],
        events: int,
        tracker: Tracker | None,
    ) -> None:
        """Keep lines of stages `finished` and of the first `step` steps of `stage`, and `events` bytes."""
        self.folder, self.tracker = folder, tracker
        _trim(folder / METRICS, stage, step, finished)
        self._events = EventFile(folder, size=events)

    @property
    def events(self) -> int:
        """The size of the event file, in bytes."""
        return self._events.size

    def close(self) -> None:
        """Nothing more comes."""
        if self.tracker is not None:
            self.tracker.finish()

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """Append the values of a step."""
        rounded = {name: float(f"{value:.6g}") for name, value in values.items()}
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps({"stage": stage, "step": step} | rounded) + "\n")
        self._events.add({f"{stage}/{name}": value for name, value in values.items()}, step)
        if self.tracker is not None:
            self.tracker.log(stage, step, values)


class Service:
    """A run of Weights & Biases, or of trackio, which is called alike: a chart per stage and value."""

    def __init__(self, name: str, folder: Path, configuration: Mapping[str, Any]) -> None:
        """Open the run of `folder` and `configuration`; one that goes on is gone on with.

        Errors: `UnknownName` for another service; `TelosError` where its package is not
        installed, or it begins no run.
        """
        if name not in get_args(TrackerName):
            raise UnknownName("tracker", name, get_args(TrackerName))
        try:
            package: Any = importlib.import_module(name)
        except ImportError as error:
            raise TelosError(
                f"Logging to {name} needs its package: pip install 'telos[{name}]'. Without it the run's "
                "folder still has metrics.jsonl and events for TensorBoard."
            ) from error
        told = f"{folder.resolve()} {json.dumps(configuration, sort_keys=True, default=str)}"
        known = f"{folder.resolve().name}-{hashlib.sha256(told.encode()).hexdigest()[:8]}"
        more = {"id": known, "dir": str(folder)} if name == "wandb" else {}
        try:
            self._run = package.init(
                project="telos", name=known, config=dict(configuration), resume="allow", **more
            )
        except Exception as error:  # whatever a service has against it
            offline = " or set WANDB_MODE=offline" if name == "wandb" else ""
            raise TelosError(
                f"{name} could not begin a run: {error} Log in to it{offline}; or train without, and look at "
                "the curves with TensorBoard."
            ) from error
        self._charts = set[str]()
        self._defines = name == "wandb"

    def log(self, stage: str, step: int, values: Mapping[str, float]) -> None:
        """The values of a step, as `stage/name`, over `stage/step`."""
        if self._defines and stage not in self._charts:
            self._charts.add(stage)
            self._run.define_metric(f"{stage}/*", step_metric=f"{stage}/step")
        self._run.log({f"{stage}/{name}": value for name, value in {"step": step, **values}.items()})

    def finish(self) -> None:
        """Flush what was logged."""
        self._run.finish()


def _trim(path: Path, stage: str, step: int, finished: list[str]) -> None:
    """Drop the lines of steps that were lost with the process, so that none is there twice."""
    if not path.exists():
        return
    kept = []
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if row["stage"] in finished or (row["stage"] == stage and row["step"] <= step):
            kept.append(line + "\n")
    with atomic_path(path) as aside:
        aside.write_text("".join(kept))
