"""From the energies of several imagined futures to one energy per candidate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


def mean(energy: Tensor) -> Tensor:
    """The expected energy: `[B, S, K]` to `[B, S]`."""
    return energy.mean(-1)


def worst_case(energy: Tensor) -> Tensor:
    """The highest energy: `[B, S, K]` to `[B, S]`."""
    return energy.amax(-1)


@dataclass(frozen=True)
class Cvar:
    """The mean of the worst share `alpha` of futures (conditional value at risk): `[B, S, K]` to `[B, S]`.

    alpha = 1 is the mean, alpha <= 1/K the worst case. Where alpha * K is not whole, the last future
    counts in part (Rockafellar and Uryasev 2002, section 3).
    """

    alpha: float

    def __post_init__(self) -> None:
        if not 0 < self.alpha <= 1:
            raise ValueError(f"alpha must be in (0, 1]; got {self.alpha}.")

    def __call__(self, energy: Tensor) -> Tensor:
        """Energy `[B, S, K]` to `[B, S]`."""
        share = max(self.alpha * energy.shape[-1], 1.0)
        count = min(math.ceil(share - 1e-9), energy.shape[-1])
        weights = torch.ones(count, device=energy.device, dtype=energy.dtype)
        weights[-1] = share - (count - 1)
        return energy.topk(count, dim=-1).values @ (weights / share)


def cvar(alpha: float) -> Cvar:
    """The aggregate that averages the worst share `alpha` of futures."""
    return Cvar(alpha)
