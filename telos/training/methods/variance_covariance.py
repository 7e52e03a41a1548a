"""PLDM's: every number of the pose varies, each on its own, and the next states are predicted."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Criterion, Seen


@dataclass(frozen=True)
class VarianceCovariance:
    """VICReg's terms on latent sequences, as PLDM has them (arXiv 2502.14819, eq. 1-5): the main recipes'.

    Prediction is a share of how far states move. Variance and covariance are of the pose alone (what
    one frame shows), since jitter between frames would earn variance.
    """

    prediction: float = 1.0
    variance: float = 1.0
    covariance: float = 0.0
    deviation: float = 0.12  # the standard deviation that variance asks for

    def build(self, model: Model) -> VarianceCovarianceCriterion:
        """A new criterion."""
        return VarianceCovarianceCriterion(self)


class VarianceCovarianceCriterion(Criterion):
    """The terms of `VarianceCovariance`; it has no parts of its own."""

    def __init__(self, settings: VarianceCovariance) -> None:
        super().__init__({name: getattr(settings, name) for name in ("prediction", "variance", "covariance")})
        self.deviation = settings.deviation

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """Prediction, variance, covariance."""
        imagined, observed = (ssl.gather(states[:, 1:]) for states in (seen.imagined, seen.observed))
        pose = seen.poses()
        return {
            "prediction": ssl.relative_prediction_loss(
                imagined, observed, around_window_mean=seen.around_window_mean
            ),
            "variance": ssl.variance_loss(pose, target=self.deviation),
            "covariance": ssl.covariance_loss(pose),
        }
