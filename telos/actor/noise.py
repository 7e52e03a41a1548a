"""How noise hangs together over time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

Correlation = Callable[[int], Tensor]
"""T to a matrix `[T, N]` of unit rows: it mixes white noise `[N]` into noise `[T]` of unit variance."""


@dataclass(frozen=True)
class Coloured:
    """Noise whose power falls as frequency to the minus `exponent` (iCEM, arXiv 2008.06389, section 3.1).

    0 is white, 2 is near Brownian motion. The authors draw a spectrum and transform it back; both are
    linear in the draw, so here it is one matrix. Their noise repeats after T steps, ours after 2 T, so
    that the end of a plan is not tied to its beginning.
    """

    exponent: float

    def __call__(self, horizon: int) -> Tensor:
        """The mixing matrix `[T, T]`."""
        return _coloured(self.exponent, horizon)


@dataclass(frozen=True)
class Knots:
    """Noise at `count` evenly spaced knots, linear in between (predictive sampling, arXiv 2212.00541)."""

    count: int

    def __call__(self, horizon: int) -> Tensor:
        """The mixing matrix `[T, count]`."""
        return _knots(min(self.count, horizon), horizon)


@lru_cache(maxsize=64)
def _coloured(exponent: float, horizon: int) -> Tensor:
    period = 2 * horizon
    frequency = torch.fft.rfftfreq(period, dtype=torch.float64).clamp_min(1 / period)
    lag = torch.fft.irfft(frequency**-exponent, n=period)  # the autocovariance that belongs to the spectrum
    steps = torch.arange(horizon)
    covariance = lag[(steps[:, None] - steps).abs()] / lag[0]
    values, vectors = torch.linalg.eigh(covariance)
    return (vectors * values.clamp_min(0).sqrt()).to(torch.float32)


@lru_cache(maxsize=64)
def _knots(count: int, horizon: int) -> Tensor:
    place = torch.linspace(0, count - 1, horizon)
    weights = (1 - (place[:, None] - torch.arange(count)).abs()).clamp_min(0)
    return weights / torch.linalg.vector_norm(weights, dim=1, keepdim=True)
