"""Guardrails: constraints on imagined futures that are held, never weighed against a cost."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from telos.cost.readout import Readout
from telos.cost.regions import Region
from telos.types import Trajectory


@dataclass(frozen=True, eq=False)
class ReadingGuardrail:
    """A named reading stays out of a region, or inside it. Make one with `keep_out` or `keep_in`.

    The violation is a depth in the reading's units: how far inside a forbidden region, or how far
    outside an allowed one; negative where there is room to spare. The guardrail is satisfied where it is
    at most `-buffer`.
    """

    readout: Callable[[Tensor], Tensor]  # states [..., *state] to readings [..., k]
    region: Region
    inside: bool  # the reading must stay inside the region
    name: str = ""  # of the reading, as the world calls it
    scale: float = 1.0  # one unit of violation is worth 1 / scale against other guardrails
    buffer: float = 0.0  # in the reading's units
    substeps: int = 16  # points that are checked between consecutive states, the later state among them

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be positive and finite; got {self.scale}.")
        if not (math.isfinite(self.buffer) and self.buffer >= 0):
            raise ValueError(f"buffer must be finite and at least 0; got {self.buffer}.")
        if self.substeps < 1:
            raise ValueError(f"substeps must be at least 1; got {self.substeps}.")

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Signed violation `[B, S, K, T+1]` in the reading's units, differentiable.

        Step 0 is the present alone. Step t >= 1 is the worst of `substeps` points on the straight line
        from reading t - 1 (left out: it belongs to step t - 1) to reading t (included).
        """
        readings = self.readout(trajectory.states)
        expected = (*trajectory.states.shape[:4], self.region.size)
        if readings.shape != expected:
            raise ValueError(
                f"the readout must return [B, S, K, T+1, k] = {list(expected)}, k being that of the region; "
                f"got {list(readings.shape)}."
            )
        before, after = readings[:, :, :, :-1, None], readings[:, :, :, 1:, None]
        weight = torch.arange(1, self.substeps + 1, device=readings.device, dtype=readings.dtype)
        points = torch.lerp(before, after, (weight / self.substeps)[:, None])
        steps = self.violation_of(points).amax(dim=-1)
        return torch.cat([self.violation_of(readings[:, :, :, :1]), steps], dim=-1)

    def violation_of(self, readings: Tensor | np.ndarray) -> Tensor:
        """Signed violation of readings `[..., k]`: `[...]`. The true readings of a world, for instance.

        Where the region is given per problem the first axis of `readings` is B.
        """
        distance = self.region.signed_distance(torch.as_tensor(readings))
        return distance if self.inside else -distance

    def select(self, index: Tensor) -> ReadingGuardrail:
        """The guardrail of some problems."""
        return dataclasses.replace(self, region=self.region.select(index))

    def with_buffer(self, buffer: float) -> ReadingGuardrail:
        """The same guardrail with a larger buffer, as calibration asks for; it cannot be made smaller."""
        if not buffer >= self.buffer:
            raise ValueError(
                f"buffer can only grow from {self.buffer}; got {buffer}. Declare a new guardrail instead."
            )
        return dataclasses.replace(self, buffer=buffer)

    def __str__(self) -> str:
        margin = f", {self.buffer:g} away" if self.buffer else ""
        return f"keep {self.name or 'reading'} {'in' if self.inside else 'out of'} {self.region}{margin}"


def keep_out(
    readout: Callable[[Tensor], Tensor],
    region: Region,
    *,
    name: str = "",
    scale: float = 1.0,
    buffer: float = 0.0,
    substeps: int = 16,
) -> ReadingGuardrail:
    """The reading stays out of `region`: violation is the depth inside it, in the reading's units.

    `name` is that of the reading in the world (a `Readout` brings its own). `substeps` should be several
    times the environment steps per block: between points a corner can be cut.
    """
    return _guardrail(readout, region, False, name=name, scale=scale, buffer=buffer, substeps=substeps)


def keep_in(
    readout: Callable[[Tensor], Tensor],
    region: Region,
    *,
    name: str = "",
    scale: float = 1.0,
    buffer: float = 0.0,
    substeps: int = 16,
) -> ReadingGuardrail:
    """The reading stays inside `region`: violation is the distance outside it, in the reading's units.

    The arguments are those of `keep_out`.
    """
    return _guardrail(readout, region, True, name=name, scale=scale, buffer=buffer, substeps=substeps)


def _guardrail(
    readout: Callable[[Tensor], Tensor],
    region: Region,
    inside: bool,
    *,
    name: str,
    scale: float,
    buffer: float,
    substeps: int,
) -> ReadingGuardrail:
    if isinstance(readout, Readout):
        name = name or readout.name
        if readout.size != region.size:
            raise ValueError(
                f"region must have {readout.size} dimensions, as many as the reading '{name}'; "
                f"got {region.size}."
            )
    return ReadingGuardrail(readout, region, inside, name, scale, buffer, substeps)
