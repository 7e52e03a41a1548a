"""Contrastive: tell the future that happened from the futures of others."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Head, Seen


@dataclass(frozen=True)
class InfoNCE:
    """Contrastive predictive coding (arXiv 1807.03748), with SimCLR's loss (2002.05709) and a projector.

    The partner of what was imagined is what was observed then; all other states of the batch, other
    times of the same window among them, are negatives.
    """

    head: Head = field(default_factory=Head)
    weight: float = 1.0
    temperature: float = 0.1

    def build(self, model: Model) -> InfoNCECriterion:
        """A new criterion for a model."""
        return InfoNCECriterion(self, model.config.state_size)


class InfoNCECriterion(Criterion):
    """The term of `InfoNCE`, and its projector."""

    def __init__(self, settings: InfoNCE, size: int) -> None:
        super().__init__({"contrast": settings.weight})
        self.temperature = settings.temperature
        self.projector = settings.head.build(size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """How badly what happened is told from the rest."""
        one, other = (self.projector(view) for view in seen.views())
        self.noted(other)
        return {"contrast": ssl.info_nce_loss(one, other, temperature=self.temperature)}
