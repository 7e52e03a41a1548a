"""Self-supervised losses and the indicators of collapse."""

from telos.ssl.indicators import indicators, rank_me, within_episode_share
from telos.ssl.losses import (
    covariance_loss,
    inverse_choice_loss,
    inverse_dynamics_loss,
    prediction_loss,
    relative_prediction_loss,
    temporal_similarity_loss,
    variance_loss,
)
from telos.ssl.sigreg import sigreg

__all__ = [
    "covariance_loss",
    "indicators",
    "inverse_choice_loss",
    "inverse_dynamics_loss",
    "prediction_loss",
    "rank_me",
    "relative_prediction_loss",
    "sigreg",
    "temporal_similarity_loss",
    "variance_loss",
    "within_episode_share",
]
