"""Barlow Twins: each embedded number says the same of both views, and no two say the same."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Head, Seen


@dataclass(frozen=True)
class BarlowTwins:
    """Barlow Twins (arXiv 2103.03230) of what was imagined and what was observed, through a projector."""

    head: Head = field(default_factory=Head)
    weight: float = 0.1
    redundancy: float = 5e-3

    def build(self, model: Model) -> BarlowCriterion:
        """A new criterion for a model."""
        return BarlowCriterion(self, model.config.state_size)


class BarlowCriterion(Criterion):
    """The term of `BarlowTwins`, and its projector."""

    def __init__(self, settings: BarlowTwins, size: int) -> None:
        super().__init__({"cross_correlation": settings.weight})
        self.redundancy = settings.redundancy
        self.projector = settings.head.build(size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """How far the cross-correlation is from the identity."""
        one, other = (self.projector(view) for view in seen.views())
        self.noted(other)
        return {"cross_correlation": ssl.barlow_twins_loss(one, other, redundancy=self.redundancy)}
