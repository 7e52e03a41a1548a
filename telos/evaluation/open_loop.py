"""Open-loop prediction: how far imagination stays with what happened, against the horizon."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from telos import ssl
from telos.data import EpisodeStore, Windows
from telos.evaluation.encoding import encode_all

if TYPE_CHECKING:
    from telos.model import Model


PATHS = 3
"""Of how many stretches the paths are kept."""


@dataclass(frozen=True)
class Errors:
    """Mean errors after 1..H blocks, of the prediction and of predicting no change."""

    unit: str
    predicted: tuple[float, ...]
    unchanged: tuple[float, ...]


@dataclass(frozen=True)
class Foretold:
    """One stretch of a reading `[H+1, k]`, from the present on: as it was foreseen, and as it came."""

    foreseen: tuple[tuple[float, ...], ...]
    came: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class OpenLoop:
    """What imagination is worth, H blocks ahead."""

    block: int  # environment steps
    windows: int  # how many stretches of held-out episodes it is a mean of
    state: Errors  # mean squared error over the states' variance: 1 is no better than their mean
    readings: dict[str, Errors] = field(default_factory=dict)  # mean Euclidean error to the true reading
    paths: dict[str, tuple[Foretold, ...]] = field(default_factory=dict)  # of readings, a few stretches
    spectrum: tuple[float, ...] = ()  # shares of the states' variance by principal direction, falling

    @property
    def horizon(self) -> int:
        """H, in blocks."""
        return len(self.state.predicted)


@torch.no_grad()
def open_loop(
    model: Model,
    store: EpisodeStore,
    *,
    generator: torch.Generator,
    horizon: int = 16,
    windows: int = 256,
) -> OpenLoop:
    """Predict `horizon` blocks ahead of held-out episodes with their own actions, and compare.

    Episodes that are too short for the horizon shorten it. "Unchanged" for a reading is the true reading
    of the present, so that its error is how far things moved.
    """
    space, look = model.config.action_space, model.config.look
    _, heldout = store.split()
    if not len(heldout):
        raise ValueError("the store has no held-out episodes to predict; collect more episodes.")
    longest = (int(store.lengths[heldout].max()) - look) // space.block
    horizon = min(horizon, longest)
    if horizon < 1:
        raise ValueError(
            f"held-out episodes must have at least {look + space.block} frames for one block; the longest "
            f"has {int(store.lengths[heldout].max())}. Collect longer episodes."
        )
    source = Windows(store, length=look + horizon * space.block, episodes=heldout)
    batch = source.sample(windows, generator)
    ends = [look + step * space.block for step in range(horizon + 1)]
    states = [encode_all(model, batch.pixels[:, end - look : end : model.config.spacing]) for end in ends]
    truth = torch.stack([model.moving(each) for each in states], dim=1)  # [B, H+1, D]
    actions = batch.actions[:, look - 1 :].unflatten(1, (horizon, space.block)).flatten(2)
    device = next(model.parameters()).device
    imagined = model.imagine(states[0].to(device), actions[:, None].to(device))[:, 0, 0].float().cpu()
    variance = truth.flatten(0, 1).var(0, correction=0).sum().clamp_min(1e-12)
    moments = [end - 1 for end in ends]
    readings, paths = {}, {}
    for name, reading in store.schema.readings.items():
        if name in model.readouts:
            true = batch.readings[name][:, moments]
            guess = model.read(name, imagined.to(device)).cpu()
            readings[name] = _errors(reading.unit, _distance(guess, true), _distance(true[:, :1], true))
            paths[name] = tuple(map(_path, guess[:PATHS], true[:PATHS]))
    return OpenLoop(
        block=space.block,
        windows=windows,
        state=_errors(
            "of the states' variance",
            (imagined - truth).square().flatten(2).sum(2) / variance,
            (truth[:, :1] - truth).square().flatten(2).sum(2) / variance,
        ),
        readings=readings,
        paths=paths,
        spectrum=tuple(ssl.spectrum(truth)),
    )


def _path(foreseen: Tensor, came: Tensor) -> Foretold:
    return Foretold(*(tuple(map(tuple, values.tolist())) for values in (foreseen, came)))


def _distance(one: Tensor, other: Tensor) -> Tensor:
    return torch.linalg.vector_norm(one - other, dim=-1)


def _errors(unit: str, predicted: Tensor, unchanged: Tensor) -> Errors:
    """Means over the batch of errors `[B, H+1]`, without the present."""
    means = [tuple(errors[:, 1:].mean(0).tolist()) for errors in (predicted, unchanged)]
    return Errors(unit, means[0], means[1])
