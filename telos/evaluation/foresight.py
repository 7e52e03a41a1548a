"""How well a frozen state says a reading, linearly, and how far ahead imagination still does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from telos.data import EpisodeStore
from telos.evaluation.probes import ridge

if TYPE_CHECKING:
    from telos.model import Model

Read = Callable[[Tensor], Tensor]
"""States `[n, D]` to a reading `[n, k]`."""


@dataclass(frozen=True)
class Moments:
    """All moments of some episodes: what the model perceives, and what is true. E episodes, n moments."""

    episodes: np.ndarray  # int64 [E], their numbers in the store
    first: int  # the environment step of moment 0: perception looks at the frames before it
    states: Tensor  # [E, n, D], what moves
    readings: dict[str, Tensor]  # each [E, n, k]


def moments(model: Model, store: EpisodeStore, episodes: Sequence[int] | np.ndarray) -> Moments:
    """Encode every frame of `episodes`, which must be of one length, and read their true readings.

    `ValueError` if lengths differ, or perception looks further back than an episode is long.
    """
    numbers = np.asarray(episodes, np.int64)
    lengths, look = np.unique(store.lengths[numbers]), model.config.look
    if len(lengths) != 1 or lengths[0] < look:
        raise ValueError(
            f"episodes must be of one length of at least {look} frames; got lengths {lengths.tolist()}. "
            "Choose others, or collect them anew."
        )
    device = next(model.parameters()).device
    states, readings = [], {name: [] for name in store.schema.readings}
    for number in numbers:
        record = store[int(number)]
        frames = torch.from_numpy(np.array(record.frames)).permute(0, 3, 1, 2).to(device)
        states.append(model.moving(model.encode_video(frames)).float().cpu())
        for name, values in record.readings.items():
            readings[name].append(torch.from_numpy(np.array(values[look - 1 :], np.float32)))
    return Moments(
        numbers, look - 1, torch.stack(states), {name: torch.stack(each) for name, each in readings.items()}
    )


def linear_reading(states: Tensor, values: Tensor, *, penalty: float = 1e-5) -> Read:
    """The ridge regression of values `[n, k]` on states `[n, D]`, standardised as these are: a `Read`."""
    mean, deviation = states.mean(0), states.std(0).clamp_min(1e-6)
    fitted = ridge((states - mean) / deviation, values, penalty=penalty)
    return lambda given: fitted((given - mean) / deviation)


def r_squared(guess: Tensor, truth: Tensor) -> Tensor:
    """The coefficient of determination of each number, `[k]`, of guesses and true values `[..., k]`.

    One minus the squared error as a share of that of the mean of `truth`: 1 is exact, 0 no better than the
    mean, and below 0 worse. NaN where the truth does not vary.
    """
    guess, truth = guess.flatten(0, -2).double(), truth.flatten(0, -2).double()
    scatter = (truth - truth.mean(0)).square().sum(0)
    return 1 - (guess - truth).square().sum(0) / torch.where(scatter > 0, scatter, torch.nan)


@dataclass(frozen=True)
class Foresight:
    """A reading as it was foreseen and as it came to be, of S starts in E episodes, 0 to H blocks ahead."""

    block: int  # environment steps
    foreseen: Tensor  # [E, S, H+1, k]; 0 blocks ahead is the reading of the perceived state
    came: Tensor  # [E, S, H+1, k]
    starts: tuple[int, ...]  # which of the moments

    @property
    def errors(self) -> Tensor:
        """Euclidean distances `[E, S, H+1]`, in the reading's units."""
        return torch.linalg.vector_norm(self.foreseen - self.came, dim=-1)


@torch.no_grad()
def foresee(
    model: Model,
    store: EpisodeStore,
    known: Moments,
    read: Read,
    name: str,
    *,
    horizon: int,
    starts: int = 1,
) -> Foresight:
    """Imagine `horizon` blocks on from `starts` moments of each episode, with its own actions, and read.

    Nothing that is seen after the start is used. Starts are spread evenly over what the horizon leaves. The
    first predictor imagines. `ValueError` if an episode is too short.
    """
    space = model.config.action_space
    last = known.states.shape[1] - 1 - horizon * space.block
    if horizon < 1 or starts < 1 or last < 0:
        raise ValueError(
            f"horizon must be 1 to {(known.states.shape[1] - 1) // space.block} blocks of {space.block} "
            f"steps for these episodes, and starts at least 1; got {horizon} and {starts}."
        )
    chosen = tuple(dict.fromkeys(np.linspace(0, last, starts).round().astype(int).tolist()))
    ahead = torch.tensor(chosen)[:, None] + space.block * torch.arange(horizon + 1)  # [S, H+1]
    actions = torch.stack(
        [torch.from_numpy(np.array(store[int(number)].actions[known.first :])) for number in known.episodes]
    )
    between = torch.tensor(chosen)[:, None] + torch.arange(horizon * space.block)
    blocks = actions[:, between].unflatten(2, (horizon, space.block)).flatten(3)  # [E, S, H, block * A]
    begin = known.states[:, list(chosen)]
    device = next(model.parameters()).device
    flat = begin.flatten(0, 1).to(device)
    imagined = model.imagine(flat, blocks.flatten(0, 1)[:, None].to(device))[:, 0, 0].float().cpu()
    foreseen = read(imagined.flatten(0, 1)).unflatten(0, (*begin.shape[:2], horizon + 1))
    return Foresight(space.block, foreseen, known.readings[name][:, ahead], chosen)
