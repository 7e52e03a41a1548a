"""The only place that unrolls a predictor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""States `[N, *state]` and block actions `[N, block * A]` to the next states `[N, *state]`."""


def unroll(predict: Predict, state: Tensor, actions: Tensor) -> Tensor:
    """Imagine: states `[N, *state]` and block actions `[N, T, block * A]` to `[N, T+1, *state]`."""
    states = [state]
    for step in range(actions.shape[1]):
        states.append(predict(states[-1], actions[:, step]))
    return torch.stack(states, dim=1)
