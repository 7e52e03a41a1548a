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


def unroll_each(predict: Predict, states: Tensor, actions: Tensor, *, ahead: int | None = None) -> Tensor:
    """Imagine each of a window's states from the one `ahead` blocks before it: `[B, T+1, D]`.

    The first `ahead` are imagined from the first state, which is its own; so are all of them by default.

    Args:
        predict: states `[B, S, D]` and block actions `[B, S, block * A]` to the next states.
        states: `[B, T+1, D]`, as they were observed.
        actions: `[B, T, block * A]`.
        ahead: predictor steps; None, T or more: T.
    """
    if ahead is not None and ahead < 1:
        raise ValueError(f"ahead must be at least 1, or None for the whole window; got {ahead}.")
    steps = actions.shape[1] if ahead is None else min(ahead, actions.shape[1])
    between = actions.unfold(1, steps, 1).transpose(2, 3)  # [B, S, steps, block * A]
    found = unroll(predict, states[:, : between.shape[1]], between)
    return torch.cat([found[:, 0], found[:, 1:, -1]], dim=1)
