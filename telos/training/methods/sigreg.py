"""LeJEPA: predict the next states, and keep states normally distributed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Seen


@dataclass(frozen=True)
class SIGReg:
    """LeJEPA (arXiv 2511.08544): the squared error of what was imagined, and SIGReg on what was observed.

    On states in units of `deviation`, without a head. Around window means a normal sample loses one
    part in T+1 of its variance, which is made up for.
    """

    prediction: float = 1.0
    sigreg: float = 0.05
    slices: int = 64
    deviation: float = 1.0  # the standard deviation that is asked for

    def build(self, model: Model) -> SIGRegCriterion:
        """A new criterion."""
        return SIGRegCriterion(self)


class SIGRegCriterion(Criterion):
    """The terms of `SIGReg`; it has no parts of its own."""

    def __init__(self, settings: SIGReg) -> None:
        super().__init__({"prediction": settings.prediction, "sigreg": settings.sigreg})
        self.slices, self.deviation = settings.slices, settings.deviation

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """Prediction, SIGReg."""
        missed = ssl.gather((seen.imagined - seen.observed)[:, 1:].float())
        poses = seen.poses().float() / self.deviation
        if seen.around_window_mean:
            frames = poses.shape[1]
            poses = poses * math.sqrt(frames / (frames - 1))
        return {
            "prediction": (missed / self.deviation).square().mean(),
            "sigreg": ssl.sigreg(poses.flatten(0, 1), generator, slices=self.slices),
        }
