"""A guardrail without a reading: what must not happen was shown by examples."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from telos.types import Trajectory


@dataclass(frozen=True, eq=False)
class LearnedGuardrail:
    """States stay on the safe side of a score. Make one with `telos.learn_guardrail`.

    The violation is the score: positive where states look like the dangerous examples, in units of its
    standard deviation over all examples. It ranks danger; it is no distance. What lies between two imagined
    states is checked on the straight line that joins them.
    """

    head: Callable[[Tensor], Tensor]  # states [..., D] to scores [..., 1]
    name: str = "danger"
    scale: float = 1.0
    buffer: float = 0.0
    substeps: int = 16

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be positive and finite; got {self.scale}.")
        if not (math.isfinite(self.buffer) and self.buffer >= 0) or self.substeps < 1:
            raise ValueError(
                "buffer must be finite and at least 0, and substeps at least 1; got "
                f"{self.buffer} and {self.substeps}."
            )

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Signed violation `[B, S, K, T+1]`, differentiable; steps as those of `ReadingGuardrail`."""
        states = trajectory.states
        before, after = states[:, :, :, :-1, None], states[:, :, :, 1:, None]
        weight = torch.arange(1, self.substeps + 1, device=states.device, dtype=states.dtype)
        points = torch.lerp(before, after, (weight / self.substeps)[:, None])
        steps = self.violation_of(points).amax(dim=-1)
        return torch.cat([self.violation_of(states[:, :, :, :1]), steps], dim=-1)

    def violation_of(self, readings: Tensor | np.ndarray) -> Tensor:
        """Signed violation of states `[..., D]`, which are its readings: `[...]`."""
        return self.head(torch.as_tensor(readings))[..., 0]

    def select(self, index: Tensor) -> LearnedGuardrail:
        """The same for all problems."""
        return self

    def with_buffer(self, buffer: float) -> LearnedGuardrail:
        """The same guardrail with a larger buffer; it cannot be made smaller."""
        if not buffer >= self.buffer:
            raise ValueError(
                f"buffer can only grow from {self.buffer}; got {buffer}. Declare a new guardrail instead."
            )
        return dataclasses.replace(self, buffer=buffer)

    def __str__(self) -> str:
        return f"keep from {self.name}{f', {self.buffer:g} away' if self.buffer else ''}"
