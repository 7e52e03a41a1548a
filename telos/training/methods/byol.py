"""BYOL: say what a slow average of oneself says of the future, through a predictor."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Head, Seen
from telos.training.methods.teachers import TaughtCriterion


@dataclass(frozen=True)
class BYOL:
    """BYOL (arXiv 2006.07733): projector, predictor, teacher; normalised squared distance."""

    head: Head = field(default_factory=Head)
    weight: float = 1.0
    momentum: float = 0.99  # of the teacher at first; 1 at the end

    def build(self, model: Model) -> BYOLCriterion:
        """A new criterion for a model."""
        return BYOLCriterion(self, model)


class BYOLCriterion(TaughtCriterion):
    """The term of `BYOL`, its projector, predictor and teacher."""

    def __init__(self, settings: BYOL, model: Model) -> None:
        super().__init__({"distance": settings.weight}, model, settings.head, momentum=settings.momentum)
        self.predictor = settings.head.build(settings.head.size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The distance from the teacher's embedding."""
        return {"distance": ssl.byol_loss(self.predictor(self.told(seen)), self.taught(model, seen))}
