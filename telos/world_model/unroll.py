"""The only place that unrolls a predictor."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Predict = Callable[[Tensor, Tensor], Tensor]
"""States `[..., *state]` and block actions `[..., block * A]` to the next states `[..., *state]`."""


def unroll(predict: Predict, state: Tensor, actions: Tensor) -> Tensor:
    """Imagine: states `[..., *state]` and block actions `[..., T, block * A]` to `[..., T+1, *state]`.

    The leading dimensions are those of `actions`: `[N]`, or B problems and S candidates `[B, S]`.
    """
    time = actions.ndim - 2
    states = [state]
    for step in range(actions.shape[time]):
        states.append(predict(states[-1], actions.select(time, step)))
    return torch.stack(states, dim=time)
