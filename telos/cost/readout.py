"""Readouts: small heads on frozen states that name what a state holds, trained on few labels."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Readout(nn.Module):
    """States `[..., D]` to a named reading `[..., size]` in its units.

    States are standardised, go through one hidden layer of `hidden` units (0: a linear map), and come
    out in the reading's units. Statistics, the number of labels and the held-out error are buffers, so
    that they are stored with the weights. Training lives in `telos.training`.
    """

    state_mean: Tensor
    state_std: Tensor
    value_mean: Tensor
    value_std: Tensor
    label_count: Tensor
    heldout_error: Tensor

    def __init__(
        self, state_size: int, size: int, *, name: str = "", unit: str = "", hidden: int = 128
    ) -> None:
        super().__init__()
        if state_size < 1 or size < 1 or hidden < 0:
            raise ValueError(
                "state_size and size must be at least 1 and hidden at least 0; got "
                f"{state_size}, {size}, {hidden}."
            )
        self.size = size
        self.name = name
        self.unit = unit
        self.head = (
            nn.Sequential(nn.Linear(state_size, hidden), nn.GELU(), nn.Linear(hidden, size))
            if hidden
            else nn.Linear(state_size, size)
        )
        self.register_buffer("state_mean", torch.zeros(state_size))
        self.register_buffer("state_std", torch.ones(state_size))
        self.register_buffer("value_mean", torch.zeros(size))
        self.register_buffer("value_std", torch.ones(size))
        self.register_buffer("label_count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("heldout_error", torch.tensor(math.nan))

    def forward(self, states: Tensor) -> Tensor:
        """Read states `[..., D]`: `[..., size]`, in the reading's units, differentiable."""
        states = states.to(self.state_mean.dtype)
        return self.head((states - self.state_mean) / self.state_std) * self.value_std + self.value_mean

    def standardise(self, states: Tensor, values: Tensor) -> None:
        """Take the statistics of labelled states `[n, D]` and their values `[n, size]`."""
        if states.ndim != 2 or values.shape != (states.shape[0], self.size) or len(states) < 2:
            raise ValueError(
                f"states must be [n, D] and values [n, {self.size}] with n at least 2; got "
                f"{list(states.shape)} and {list(values.shape)}."
            )
        for data, mean, std in (
            (states, self.state_mean, self.state_std),
            (values, self.value_mean, self.value_std),
        ):
            mean.copy_(data.mean(dim=0))
            spread = data.std(dim=0)
            std.copy_(torch.where(spread > 1e-6, spread, torch.ones_like(spread)))

    def record(self, *, labels: int, error: float) -> None:
        """Remember how many labelled frames trained it, and its mean Euclidean error on held-out ones."""
        self.label_count.fill_(labels)
        self.heldout_error.fill_(error)

    @property
    def labels(self) -> int:
        """How many labelled frames trained it; 0 before training."""
        return int(self.label_count)

    @property
    def error(self) -> float:
        """The mean Euclidean error on held-out frames in the reading's units; NaN before training."""
        return float(self.heldout_error)
