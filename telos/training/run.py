"""Training runs that survive being killed: metrics, checkpoints, and the loop that all stages share."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from telos.errors import CheckpointError, TelosError, TrainingError
from telos.files import Lock, atomic_path
from telos.progress import Progress
from telos.training.compute import Compute, Replicated, Step, parted_like, sharded, spare, unworried, whole
from telos.training.config import Optimisation
from telos.training.curves import METRICS as METRICS
from telos.training.curves import Curves, Tracker
from telos.training.distributed import Processes


class After(Protocol):
    """What follows a step of the optimiser, the first of which is step 1."""

    def __call__(self, *, step: int, steps: int) -> None:
        """Step `step` of `steps` was taken."""
        ...


STATE = "trainer.safetensors"


@dataclass
class Clock:
    """CPU seconds that training has used, over all the processes that took part."""

    before: float = 0.0

    def __post_init__(self) -> None:
        self._start = cpu_seconds()

    @property
    def own(self) -> float:
        """Of this process, since it took part."""
        return cpu_seconds() - self._start

    def seconds(self, processes: Processes) -> float:
        """Of all, so far. Every process asks."""
        return self.before + processes.count * processes.mean({"own": self.own})["own"]


def cpu_seconds() -> float:
    """CPU seconds of this process, user and system, all threads."""
    times = os.times()
    return times.user + times.system


class Run:
    """One training run in a folder: what it has finished, and where to go on from.

    `trainer.safetensors` holds weights, optimiser, generator and position in one file that is replaced
    as a whole, so a run that was killed goes on from the last save and reaches the same losses, on as many
    processes as it likes. While the run is open no other one can open it: use it as a context manager.

    Of several processes the first alone reads and writes the folder; the others need not see it.
    """

    def __init__(
        self,
        folder: Path,
        model: nn.Module,
        fingerprint: str,
        *,
        seed: int,
        compute: Compute | None = None,
        processes: Processes | None = None,
        tracker: Callable[[], Tracker] | None = None,
    ) -> None:
        """Go on with the run in `folder`, or begin it; `tracker` opens what receives its curves besides."""
        self.folder, self.model, self.fingerprint, self.seed = folder, model, fingerprint, seed
        self.compute, self.processes = compute or Compute(), processes or Processes()
        self.generator = torch.Generator().manual_seed(seed)
        self.stage, self.step = "", 0
        self.finished: list[str] = []
        self.clock = Clock()
        self._optimiser_state: dict[str, Tensor] = {}
        self._lock: Lock | None = None
        self._curves: Curves | None = None
        try:
            found = self.of_first(self._open)
            self._resume(*self.processes.of_first(found or ({}, {})))
            self.of_first(lambda: self._open_curves(tracker))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let another one open the folder."""
        if self._curves is not None:
            self._curves.close()
        if self._lock is not None:
            self._lock.release()

    def stage_loop(
        self,
        name: str,
        parameters: Iterable[nn.Parameter],
        step: Step,
        optimisation: Optimisation,
        *,
        after: After | None = None,
        progress: Progress,
        every: int = 20,
        save_seconds: float = 30.0,
        shardable: bool = False,
        constant: bool = True,
    ) -> None:
        """Optimise `parameters` by `step` for `optimisation.steps` steps; does nothing if finished before.

        The state is saved after every `save_seconds` CPU seconds of the first process, and at the end of the
        stage. With several processes gradients are averaged over them. Ctrl-C ends all after the step, which
        is saved too.

        Args:
            shardable: all of the model that `step` uses it calls as modules, so its weights may be sharded.
                `model` is then another object afterwards.
            constant: every step trains the same; or what no step has trained so far may join later.

        Errors: `TrainingError` if a loss is not finite, in whichever process; the last save stays.
        """
        if name in self.finished:
            return
        trained = list(parameters)
        shard = shardable and self.compute.shards(trained, self.processes.count)
        kept = spare(self.model) if shard else None
        forward, trained = self._parallel(step, trained, shard=shard, constant=constant)
        optimiser = torch.optim.AdamW(
            trained,
            lr=optimisation.learning_rate,
            weight_decay=optimisation.weight_decay,
            fused=all(value.device.type in ("cpu", "cuda") for value in trained),
        )
        if self.stage == name:
            _load_optimiser(optimiser, self._optimiser_state)
        else:
            self.stage, self.step = name, 0
        saved = self.clock.own
        sums: dict[str, float] = {}
        with unworried(), self.processes.interruptible() as asked:
            while self.step < optimisation.steps:
                _set_rate(optimiser, optimisation, self.step)
                with self._own_randomness():
                    loss, values = forward(self.generator, self.step)
                due = self.processes.first and self.clock.own - saved >= save_seconds
                finite = bool(torch.isfinite(loss))
                broken, due, stop = self.processes.any(not finite, due, bool(asked))
                if broken:  # and no backward pass, which must not meet places that are not finite
                    raise self._broken(self._worst(loss, values))
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                norm = nn.utils.get_total_norm(value.grad for value in trained if value.grad is not None)
                if not torch.isfinite(whole(norm)):
                    raise self._broken("the gradient")  # of all processes, so each finds it
                if whole(norm) > optimisation.clip:
                    nn.utils.clip_grads_with_norm_(trained, optimisation.clip, norm)
                optimiser.step()
                self.step += 1
                if after is not None:
                    after(step=self.step, steps=optimisation.steps)
                if self.step % every == 0 or self.step == optimisation.steps:
                    sums = self._log({"loss": loss.detach(), **values})
                progress(name, self.step, optimisation.steps, **({"loss": sums["loss"]} if sums else {}))
                if due or stop:
                    self.save(optimiser)
                    saved = self.clock.own
                if stop:
                    self.processes.end_together()
                    raise KeyboardInterrupt
        self.finished.append(name)
        self.stage, self.step = "", 0
        if kept is not None:
            kept.load_state_dict({key: whole(value) for key, value in self.model.state_dict().items()})
            self.model = kept.to(self.compute.place())
        self.save(None)
        if any(self.processes.any(bool(asked))):  # in the last step
            self.processes.end_together()
            raise KeyboardInterrupt

    def save(self, optimiser: torch.optim.Optimizer | None) -> None:
        """Write the state to go on from. `CheckpointError` if the disk is full; the last one stays."""
        tensors = {f"model.{key}": whole(value) for key, value in self.model.state_dict().items()}
        tensors["generator"] = self.generator.get_state()
        if optimiser is not None:
            tensors |= {f"optimiser.{key}": whole(value) for key, value in _optimiser_tensors(optimiser)}
        metadata = {
            "fingerprint": self.fingerprint,
            "stage": self.stage,
            "step": str(self.step),
            "finished": json.dumps(self.finished),
            "cpu_seconds": str(self.clock.seconds(self.processes)),
            "events": str(self._curves.events if self._curves else 0),
        }
        self.of_first(lambda: _write(self.folder / STATE, tensors, metadata))

    def of_first(self, work: Callable[[], Any]) -> Any:
        """What `work` gives in the first process, None in the others; its error is every process's."""
        found, error = None, None
        try:
            if self.processes.first:
                found = work()
        except (TelosError, ValueError, OSError) as raised:
            error = raised
        try:
            self.processes.agree(error)
        finally:
            del error  # it knows this frame, which would keep the run, and its lock, alive
        return found

    def _open(self) -> tuple[dict[str, str], dict[str, Tensor]]:
        """Lock the folder, and read what a run left there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = Lock(self.folder / ".lock")
        except BlockingIOError as error:
            raise CheckpointError(
                f"another process is training in {self.folder}. Wait until it ends, or choose another folder."
            ) from error
        for left in self.folder.glob(
            f".{STATE}.*.part"
        ):  # of a save that was killed; this run alone writes here
            left.unlink(missing_ok=True)
        metadata, tensors = _read(self.folder / STATE)
        if metadata.get("fingerprint", None if tensors else self.fingerprint) != self.fingerprint:
            raise CheckpointError(
                f"{self.folder} holds a training run with another recipe, data or seed. "
                "Choose another folder, or delete it to start again."
            )
        return metadata, tensors

    def _resume(self, metadata: dict[str, str], tensors: dict[str, Tensor]) -> None:
        self._events = int(metadata.get("events", 0))
        if not tensors:
            return
        try:
            self.model.load_state_dict(_strip(tensors, "model."))
        except RuntimeError as error:
            raise CheckpointError(
                f"{self.folder / STATE} is of another version of the model ({error}). "
                "Delete it to train from the start."
            ) from error
        self.generator.set_state(tensors["generator"])
        self.stage, self.step = metadata["stage"], int(metadata["step"])
        self.finished = json.loads(metadata["finished"])
        self.clock = Clock(float(metadata["cpu_seconds"]))
        self._optimiser_state = _strip(tensors, "optimiser.")

    def _open_curves(self, tracker: Callable[[], Tracker] | None) -> None:
        self._curves = Curves(
            self.folder,
            stage=self.stage,
            step=self.step,
            finished=self.finished,
            events=self._events,
            tracker=tracker() if tracker is not None else None,
        )

    def _parallel(
        self, step: Step, trained: list[nn.Parameter], *, shard: bool, constant: bool
    ) -> tuple[Step, list[nn.Parameter]]:
        """The step as all processes take it together, and what it trains."""
        if self.processes.count == 1:
            return step, trained
        if not shard:
            return Replicated(step, trained, constant=constant), trained
        names = {value: name for name, value in self.model.named_parameters()}
        forward = sharded(step, self.model, trained, self.compute.place(), self.processes.count)
        now = dict(self.model.named_parameters())
        return forward, [now[names[value]] for value in trained]

    @contextmanager
    def _own_randomness(self) -> Iterator[None]:
        """What torch draws by itself, as for dropout, follows from seed, stage, step and process alone."""
        told = f"{self.seed} {self.stage} {self.step} {self.processes.rank}"
        place = self.compute.place()
        with torch.random.fork_rng(devices=[place] if place.type == "cuda" else []):
            torch.manual_seed(int.from_bytes(hashlib.sha256(told.encode()).digest()[:8], "little"))
            yield

    def _log(self, values: dict[str, float | Tensor]) -> dict[str, float]:
        """Record the means over processes; they are returned."""
        seconds = round(self.clock.seconds(self.processes), 2)
        means = self.processes.mean({key: float(value) for key, value in values.items()})
        self.of_first(lambda: self._record({"cpu_seconds": seconds, **means}))
        return means

    def _record(self, values: dict[str, float]) -> None:
        assert self._curves is not None
        self._curves.log(self.stage, self.step, values)

    def _worst(self, loss: Tensor, values: dict[str, float | Tensor]) -> str:
        """Whose loss is not finite, and by which terms; the same in every process."""
        bad = [key for key, value in values.items() if not math.isfinite(float(value))]
        told = None if torch.isfinite(loss) else f"the loss ({', '.join(bad) or 'its sum'})"
        found = {rank: what for rank, what in enumerate(self.processes.all_of(told)) if what is not None}
        where = f" of process {', '.join(map(str, found))}" if self.processes.count > 1 else ""
        return next(iter(found.values())) + where

    def _broken(self, what: str) -> TrainingError:
        self.processes.end_together()
        return TrainingError(
            f"{what} is not finite at step {self.step} of stage '{self.stage}'. The last save in "
            f"{self.folder} is unchanged. Check the data for extreme values, or lower the learning rate."
        )


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """What `_write` wrote; nothing if there is no file."""
    if not path.exists():
        return {}, {}
    try:
        with safetensors.safe_open(path, "pt") as file:
            return file.metadata() or {}, {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} is damaged ({error}). Delete it to train from the start, or restore a copy."
        ) from error


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    try:
        with atomic_path(path) as aside:
            safetensors.torch.save_file(tensors, aside, metadata)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"{path} could not be written ({error}); the one before it is unchanged. "
            "Free some space and run the same command again: training continues from there."
        ) from error


def _set_rate(optimiser: torch.optim.Optimizer, optimisation: Optimisation, step: int) -> None:
    part = step / optimisation.steps
    scale = min(1.0, (step + 1) / max(optimisation.warmup, 1))
    if part > optimisation.decay_from:
        along = (part - optimisation.decay_from) / (1 - optimisation.decay_from)
        scale *= 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * along))
    for group in optimiser.param_groups:
        group["lr"] = optimisation.learning_rate * scale


def _optimiser_tensors(optimiser: torch.optim.Optimizer) -> Iterator[tuple[str, Tensor]]:
    for index, state in optimiser.state_dict()["state"].items():
        for key, value in state.items():
            yield f"{index}.{key}", value


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    trained = [value for group in optimiser.param_groups for value in group["params"]]
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = parted_like(value, trained[int(index)])
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
