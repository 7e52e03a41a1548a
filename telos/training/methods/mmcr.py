"""MMCR: what was imagined and what was observed at one place, samples in all directions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Head, Seen


@dataclass(frozen=True)
class MMCR:
    """Maximum manifold capacity representations (arXiv 2303.03307), of two views, through a projector.

    The nuclear norm is divided by the most that it can be, sqrt(N * min(N, D)).
    """

    head: Head = field(default_factory=lambda: Head(size=64))
    weight: float = 5.0

    def build(self, model: Model) -> MMCRCriterion:
        """A new criterion for a model."""
        return MMCRCriterion(self, model.config.state_size)


class MMCRCriterion(Criterion):
    """The term of `MMCR`, and its projector."""

    def __init__(self, settings: MMCR, size: int) -> None:
        super().__init__({"capacity": settings.weight})
        self.projector = settings.head.build(size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """Minus the nuclear norm of the centroids, as a share of its bound: -1 at best."""
        views = torch.stack([self.projector(view).flatten(0, 1) for view in seen.views()], dim=1)  # [N, 2, D]
        self.noted(views[:, 1])
        samples, _, size = views.shape
        return {"capacity": ssl.mmcr_loss(views) / (samples * min(samples, size)) ** 0.5}
