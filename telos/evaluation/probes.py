"""Probes: what can be read off a frozen state, on layouts that neither model nor probe has seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from telos.data import EpisodeStore, labelled_frames
from telos.evaluation.encoding import encode_all, label_counts
from telos.progress import Progress, silent

if TYPE_CHECKING:
    from telos.model import Model


@dataclass(frozen=True)
class ProbeResult:
    """How well one reading can be had from the state."""

    reading: str
    unit: str
    method: str  # "linear", "mlp", "readout" (the model's own), or "constant": always the mean
    labels: int  # labelled frames that it was fitted to
    frames: int  # held-out frames that it was measured on
    error: float  # mean Euclidean distance, in the unit


def probe(
    model: Model,
    store: EpisodeStore,
    *,
    generator: torch.Generator,
    labels: int = 2000,
    frames: int = 1000,
    progress: Progress = silent,
) -> tuple[ProbeResult, ...]:
    """Fit a linear and a small nonlinear probe of every reading, on training episodes, and measure them.

    Measured on held-out episodes (`store.split()`). "constant" is the floor; "readout" is the model's
    own head with the few labels that it was trained on. With fewer moments than asked for, all are used.
    `ValueError` if no episode is held out, or none is as long as what the model looks at.
    """
    if not store.schema.readings:
        return ()
    train, heldout = store.split()
    if not len(heldout):
        raise ValueError("the store has no held-out episodes to probe on; collect more episodes.")
    look = model.config
    seen, unseen = (
        labelled_frames(store, count, generator, frames=look.frames, stride=look.spacing, episodes=episodes)
        for count, episodes in ((labels, train), (frames, heldout))
    )
    states, tests = (model.moving(encode_all(model, each.pixels)) for each in (seen, unseen))
    mean, std = states.mean(0), states.std(0).clamp_min(1e-6)
    states, standard = (states - mean) / std, (tests - mean) / std
    found = []
    for number, (name, reading) in enumerate(store.schema.readings.items()):
        values, truth = seen.readings[name], unseen.readings[name]
        guesses = {
            "constant": values.mean(0).expand_as(truth),
            "linear": ridge(states, values)(standard),
            "mlp": small_mlp(states, values, generator=generator)(standard),
        }
        counts = dict.fromkeys(guesses, len(values))
        if name in model.readouts:
            with torch.no_grad():
                device = next(model.parameters()).device
                guesses["readout"] = model.read(name, tests.to(device)).cpu()
            counts["readout"] = label_counts(model)[name]
        found += [
            ProbeResult(name, reading.unit, method, counts[method], len(truth), _error(guess, truth))
            for method, guess in guesses.items()
        ]
        progress("probes", number + 1, len(store.schema.readings))
    return tuple(found)


class Linear:
    """States `[n, D]` to values `[n, k]`, affine."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    def __call__(self, states: Tensor) -> Tensor:
        """Values `[n, k]`."""
        return states @ self.weight + self.bias


def ridge(states: Tensor, values: Tensor, *, penalty: float = 1e-3) -> Linear:
    """Ridge regression in closed form: states `[n, D]`, standardised, to values `[n, k]`.

    `penalty` is per sample; the intercept is not penalised.
    """
    x = states.double()
    centre, middle = x.mean(0), values.double().mean(0)
    x = x - centre
    gram = x.T @ x + penalty * len(x) * torch.eye(x.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(gram, x.T @ (values.double() - middle))
    return Linear(weight.float(), (middle - centre @ weight).float())


class SmallMLP:
    """One hidden layer of 64 units: states `[n, D]` to values `[n, k]`."""

    def __init__(self, weights: list[Tensor], mean: Tensor, std: Tensor) -> None:
        self.weights, self.mean, self.std = weights, mean, std

    def __call__(self, states: Tensor) -> Tensor:
        """Values `[n, k]`."""
        first, offset, second, bias = self.weights
        return (torch.tanh(states @ first + offset) @ second + bias) * self.std + self.mean


def small_mlp(states: Tensor, values: Tensor, *, generator: torch.Generator, steps: int = 400) -> SmallMLP:
    """Fit a `SmallMLP` with Adam on all data at once, with a little weight decay."""
    D, k, hidden = states.shape[1], values.shape[1], 64
    mean, std = values.mean(0), values.std(0).clamp_min(1e-6)
    weights = [
        torch.randn(D, hidden, generator=generator) / D**0.5,
        torch.zeros(hidden),
        torch.randn(hidden, k, generator=generator) / hidden**0.5,
        torch.zeros(k),
    ]
    fitted = SmallMLP([weight.requires_grad_() for weight in weights], mean, std)
    optimiser = torch.optim.AdamW(fitted.weights, lr=1e-2, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        optimiser.zero_grad()
        ((fitted(states) - values) / std).square().mean().backward()
        optimiser.step()
        schedule.step()
    return SmallMLP([weight.detach() for weight in weights], mean, std)


def _error(guess: Tensor, truth: Tensor) -> float:
    return float(torch.linalg.vector_norm(guess - truth, dim=-1).mean())
