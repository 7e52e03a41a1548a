"""W-MSE: what was imagined and what was observed agree after whitening."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Head, Seen


@dataclass(frozen=True)
class WMSE:
    """Whitening for self-supervised learning (arXiv 2007.06346), through a projector.

    Whitened together are twice as many samples as the embedding has numbers, the paper's choice; a batch
    (windows times horizon, of all processes) must have as many.
    """

    head: Head = field(default_factory=lambda: Head(size=32))
    weight: float = 1.0
    repeats: int = 4  # groupings of a batch

    def build(self, model: Model) -> WMSECriterion:
        """A new criterion for a model."""
        return WMSECriterion(self, model.config.state_size)


class WMSECriterion(Criterion):
    """The term of `WMSE`, and its projector."""

    def __init__(self, settings: WMSE, size: int) -> None:
        super().__init__({"whitened": settings.weight})
        self.together, self.repeats = 2 * settings.head.size, settings.repeats
        self.projector = settings.head.build(size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The distance of whitened views."""
        one, other = (self.projector(view).flatten(0, 1) for view in seen.views())
        self.noted(other)
        found = ssl.wmse_loss(one, other, generator, together=self.together, repeats=self.repeats)
        return {"whitened": found}
