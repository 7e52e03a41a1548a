"""VICReg: the same three terms on an embedding of many more dimensions."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Head, Seen


@dataclass(frozen=True)
class VICReg:
    """VICReg (arXiv 2105.04906): the two views of a sample are what was imagined and what was observed.

    The expander takes both to a higher dimension, in which decorrelation makes the state's numbers
    independent and not only uncorrelated (its section 4). The weights are the paper's, over 25.
    """

    head: Head = field(default_factory=lambda: Head(size=256))
    invariance: float = 1.0
    variance: float = 1.0
    covariance: float = 0.04

    def build(self, model: Model) -> VICRegCriterion:
        """A new criterion for a model."""
        return VICRegCriterion(self, model.config.state_size)


class VICRegCriterion(Criterion):
    """The terms of `VICReg`, and its expander."""

    def __init__(self, settings: VICReg, size: int) -> None:
        super().__init__({name: getattr(settings, name) for name in ("invariance", "variance", "covariance")})
        self.expander = settings.head.build(size)

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """Invariance, variance, covariance."""
        one, other = (self.expander(view) for view in seen.views())
        self.noted(other)
        return {
            "invariance": (one - other).square().mean(),
            "variance": ssl.variance_loss(one) + ssl.variance_loss(other),
            "covariance": ssl.covariance_loss(one) + ssl.covariance_loss(other),
        }
