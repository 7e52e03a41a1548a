"""BYOL: say what a slow average of oneself says of the future, through a predictor."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Head, Seen
from telos.training.methods.teachers import TaughtCriterion


@dataclass(frozen=True)
class BYOL:
    """BYOL (arXiv 2006.07733): projector, predictor, teacher; normalised squared distance.

    Without `teacher` the target is the student's own embedding, to which gradients then flow: what BYOL is
    there to avoid, to compare with. (Momentum 0 keeps the stop-gradient alone, as SimSiam, 2011.10566.)
    """

    head: Head = field(default_factory=Head)
    weight: float = 1.0
    momentum: float = 0.97  # of the teacher at first; 1 at the end (0 stays 0)
    predictor: bool = True  # between the student's embedding and the teacher's
    teacher: bool = True

    def build(self, model: Model) -> BYOLCriterion:
        """A new criterion for a model."""
        return BYOLCriterion(self, model)


class BYOLCriterion(TaughtCriterion):
    """The term of `BYOL`, its projector, predictor and teacher."""

    def __init__(self, settings: BYOL, model: Model) -> None:
        super().__init__({"distance": settings.weight}, model, settings.head, momentum=settings.momentum)
        self.predictor = settings.head.build(settings.head.size) if settings.predictor else nn.Identity()
        self.own = not settings.teacher

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The distance from the teacher's embedding."""
        told = self.predictor(self.told(seen))
        if self.own:
            other = self.noted(self.head(seen.views()[1]))
            return {"distance": 2 - 2 * cosine_similarity(told, other, dim=-1).mean()}
        return {"distance": ssl.byol_loss(told, self.taught(model, seen))}
