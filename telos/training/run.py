"""Training runs that survive being killed: metrics, checkpoints, and the loop that all stages share."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import safetensors
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from telos.errors import CheckpointError, TrainingError
from telos.files import Lock, atomic_path
from telos.progress import Progress
from telos.training.config import Optimisation

Step = Callable[[torch.Generator, int], tuple[Tensor, dict[str, float | Tensor]]]
"""One training step's loss and what is worth recording: given the generator and the step's number."""


class After(Protocol):
    """What follows a step of the optimiser, the first of which is step 1."""

    def __call__(self, *, step: int, steps: int) -> None:
        """Step `step` of `steps` was taken."""
        ...


STATE = "trainer.safetensors"
METRICS = "metrics.jsonl"


@dataclass
class Clock:
    """CPU seconds that training has used, over all the processes that took part."""

    before: float = 0.0

    def __post_init__(self) -> None:
        self._start = cpu_seconds()

    @property
    def seconds(self) -> float:
        """CPU seconds so far."""
        return self.before + cpu_seconds() - self._start


def cpu_seconds() -> float:
    """CPU seconds of this process, user and system, all threads."""
    times = os.times()
    return times.user + times.system


class Run:
    """One training run in a folder: what it has finished, and where to go on from.

    `trainer.safetensors` holds weights, optimiser, generator and position in one file that is replaced
    as a whole, so a run that was killed goes on from the last save and reaches the same losses. While the
    run is open no other process can open it: use it as a context manager.
    """

    def __init__(self, folder: Path, model: nn.Module, fingerprint: str, *, seed: int) -> None:
        self.folder, self.model, self.fingerprint = folder, model, fingerprint
        self.generator = torch.Generator().manual_seed(seed)
        self.stage, self.step = "", 0
        self.finished: list[str] = []
        self.clock = Clock()
        self._optimiser_state: dict[str, Tensor] = {}
        folder.mkdir(parents=True, exist_ok=True)
        try:
            self._lock = Lock(folder / ".lock")
        except BlockingIOError as error:
            raise CheckpointError(
                f"another process is training in {folder}. Wait until it ends, or choose another folder."
            ) from error
        try:
            self._resume()
            self._trim_metrics()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
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
    ) -> None:
        """Optimise `parameters` by `step` for `optimisation.steps` steps; does nothing if finished before.

        The state is saved after every `save_seconds` CPU seconds, and at the end of the stage.

        Errors: `TrainingError` if a loss is not finite; the last save stays.
        """
        if name in self.finished:
            return
        trained = list(parameters)
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
        saved = self.clock.seconds
        sums: dict[str, float] = {}
        while self.step < optimisation.steps:
            _set_rate(optimiser, optimisation, self.step)
            loss, values = step(self.generator, self.step)
            self._check(loss, values)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            norm = nn.utils.get_total_norm(value.grad for value in trained if value.grad is not None)
            if not torch.isfinite(norm):
                raise self._broken("the gradient")
            if norm > optimisation.clip:
                nn.utils.clip_grads_with_norm_(trained, optimisation.clip, norm)
            optimiser.step()
            self.step += 1
            if after is not None:
                after(step=self.step, steps=optimisation.steps)
            if self.step % every == 0 or self.step == optimisation.steps:
                sums = {key: float(value) for key, value in {"loss": loss.detach(), **values}.items()}
                self._log(sums)
            progress(name, self.step, optimisation.steps, **({"loss": sums["loss"]} if sums else {}))
            if self.clock.seconds - saved >= save_seconds:
                self.save(optimiser)
                saved = self.clock.seconds
        self.finished.append(name)
        self.stage, self.step = "", 0
        self.save(None)

    def save(self, optimiser: torch.optim.Optimizer | None) -> None:
        """Write the state to go on from. `CheckpointError` if the disk is full; the last one stays."""
        tensors = {f"model.{key}": value.contiguous() for key, value in self.model.state_dict().items()}
        tensors["generator"] = self.generator.get_state()
        if optimiser is not None:
            tensors |= {f"optimiser.{key}": value for key, value in _optimiser_tensors(optimiser)}
        metadata = {
            "fingerprint": self.fingerprint,
            "stage": self.stage,
            "step": str(self.step),
            "finished": json.dumps(self.finished),
            "cpu_seconds": str(self.clock.seconds),
        }
        try:
            with atomic_path(self.folder / STATE) as aside:
                safetensors.torch.save_file(tensors, aside, metadata)
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{self.folder / STATE} could not be written ({error}); the one before it is unchanged. "
                "Free some space and run the same command again: training continues from there."
            ) from error

    def _resume(self) -> None:
        path = self.folder / STATE
        if not path.exists():
            return
        try:
            with safetensors.safe_open(path, "pt") as file:
                metadata = file.metadata() or {}
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{path} is damaged ({error}). Delete it to train from the start, or restore a copy."
            ) from error
        if metadata.get("fingerprint") != self.fingerprint:
            raise CheckpointError(
                f"{self.folder} holds a training run with another recipe, data or seed. "
                "Choose another folder, or delete it to start again."
            )
        try:
            self.model.load_state_dict(_strip(tensors, "model."))
        except RuntimeError as error:
            raise CheckpointError(
                f"{path} is of another version of the model ({error}). Delete it to train from the start."
            ) from error
        self.generator.set_state(tensors["generator"])
        self.stage, self.step = metadata["stage"], int(metadata["step"])
        self.finished = json.loads(metadata["finished"])
        self.clock = Clock(float(metadata["cpu_seconds"]))
        self._optimiser_state = _strip(tensors, "optimiser.")

    def _trim_metrics(self) -> None:
        """Drop the lines of steps that were lost with the process, so that none is there twice."""
        path = self.folder / METRICS
        if not path.exists():
            return
        kept = []
        for line in path.read_text().splitlines():
            try:
                row = json.loads(line)
            except ValueError:
                continue
            if row["stage"] in self.finished or (row["stage"] == self.stage and row["step"] <= self.step):
                kept.append(line + "\n")
        with atomic_path(path) as aside:
            aside.write_text("".join(kept))

    def _log(self, values: dict[str, float]) -> None:
        row: dict[str, Any] = {"stage": self.stage, "step": self.step}
        row |= {"cpu_seconds": round(self.clock.seconds, 2)}
        row |= {key: float(f"{value:.6g}") for key, value in values.items()}
        with (self.folder / METRICS).open("a") as file:
            file.write(json.dumps(row) + "\n")

    def _check(self, loss: Tensor, values: dict[str, float | Tensor]) -> None:
        if not torch.isfinite(loss):
            bad = [key for key, value in values.items() if not math.isfinite(float(value))]
            raise self._broken(f"the loss ({', '.join(bad) or 'its sum'})")

    def _broken(self, what: str) -> TrainingError:
        return TrainingError(
            f"{what} is not finite at step {self.step} of stage '{self.stage}'. The last save in "
            f"{self.folder} is unchanged. Check the data for extreme values, or lower the learning rate."
        )


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
            yield f"{index}.{key}", value.contiguous()


def _load_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        like = parameters[int(index)]
        if value.shape == like.shape:  # in memory as the parameter is: the fused step counts on it
            value = torch.empty_like(like).copy_(value)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})


def _strip(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
