"""The batch of all processes: what a loss that compares samples must see, and what one process has of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, distributed


def gather(values: Tensor) -> Tensor:
    """The values `[B, ...]` of every process, one process after another `[processes * B, ...]`.

    Without a process group, or alone in it, the values themselves. Variance, covariance, SIGReg and whatever
    else compares samples is no mean over them, so averaging it over processes does not give that of their
    joint batch; a loss of `gather(states)` is that on each process. Backwards, a process's values receive the
    sum of what the losses of all processes ask of them. Averaging the gradients of weights, as
    DistributedDataParallel does, then leaves that of the joint batch. Every process must call it, equally
    often, with values of one shape; a generator that the loss draws from must be seeded alike.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    joint: Any = values if distributed.get_world_size() == 1 else _Gather.apply(values)
    return joint


def own_rows(values: Tensor) -> Tensor:
    """Of the values of all processes `[processes * B, ...]`, one after another, this one's `[B, ...]`."""
    if not (distributed.is_available() and distributed.is_initialized()):
        return values
    return values.chunk(distributed.get_world_size())[distributed.get_rank()]


def rand_rows(rows: int, *shape: int, generator: torch.Generator) -> Tensor:
    """Random numbers in 0..1 for a process's rows, `[rows, *shape]`: its part of what is drawn for all.

    Generators must be in the same state in all processes, and are so afterwards.
    """
    several = distributed.is_available() and distributed.is_initialized()
    joint = rows * (distributed.get_world_size() if several else 1)
    return own_rows(torch.rand(joint, *shape, generator=generator))


class _Gather(torch.autograd.Function):
    """Gathers, and in the way back sums the gradients that processes have for each other's values."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        parts = [torch.empty_like(values) for _ in range(distributed.get_world_size())]
        distributed.all_gather(parts, values.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone(memory_format=torch.contiguous_format)
        distributed.all_reduce(total)
        return total.chunk(distributed.get_world_size())[distributed.get_rank()]
