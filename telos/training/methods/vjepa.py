"""I-JEPA and V-JEPA: predict a teacher's features, by the predictor alone."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Head, Seen
from telos.training.methods.teachers import TaughtCriterion


@dataclass(frozen=True)
class VJEPA:
    """I-JEPA (arXiv 2301.08243), V-JEPA (2404.08471): the world model is the predictor of teacher features.

    What is hidden here are the frames to come. Features are standardised each over its numbers, as in
    their code, and compared by the absolute error of V-JEPA (its eq. 1). Since a state may have very few,
    both sides see it through a head (the teacher's is an average of the student's), which the papers, of
    hundreds of patches, do not need.
    """

    head: Head = field(default_factory=Head)
    weight: float = 1.0
    momentum: float = 0.97  # of the teacher at first; 1 at the end (0 stays 0)

    def build(self, model: Model) -> VJEPACriterion:
        """A new criterion for a model."""
        return VJEPACriterion(self, model)


class VJEPACriterion(TaughtCriterion):
    """The term of `VJEPA`, its head and teacher."""

    def __init__(self, settings: VJEPA, model: Model) -> None:
        super().__init__({"distance": settings.weight}, model, settings.head, momentum=settings.momentum)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The distance from the teacher's features."""
        return {"distance": ssl.ijepa_loss(self.told(seen), self.taught(model, seen), beta=0.0)}
