"""Self-supervised losses and the indicators of collapse."""

from telos.nn import gather
from telos.ssl.barlow import barlow_twins_loss
from telos.ssl.contrastive import info_nce_loss
from telos.ssl.indicators import indicators, lidar, rank_me, spectrum, spread, within_episode_share
from telos.ssl.losses import (
    curvature_loss,
    endpoint_inverse_loss,
    inverse_choice_loss,
    inverse_dynamics_loss,
    prediction_loss,
    relative_prediction_loss,
    temporal_similarity_loss,
)
from telos.ssl.mmcr import mmcr_loss
from telos.ssl.sigreg import sigreg
from telos.ssl.teacher import (
    byol_loss,
    dino_loss,
    ijepa_loss,
    next_centre,
    teacher_momentum,
    update_teacher,
)
from telos.ssl.vicreg import covariance_loss, variance_loss, vicreg_loss
from telos.ssl.whitening import whiten, wmse_loss

__all__ = [
    "barlow_twins_loss",
    "byol_loss",
    "covariance_loss",
    "curvature_loss",
    "dino_loss",
    "endpoint_inverse_loss",
    "gather",
    "ijepa_loss",
    "indicators",
    "info_nce_loss",
    "inverse_choice_loss",
    "inverse_dynamics_loss",
    "lidar",
    "mmcr_loss",
    "next_centre",
    "prediction_loss",
    "rank_me",
    "relative_prediction_loss",
    "sigreg",
    "spectrum",
    "spread",
    "teacher_momentum",
    "temporal_similarity_loss",
    "update_teacher",
    "variance_loss",
    "vicreg_loss",
    "whiten",
    "within_episode_share",
    "wmse_loss",
]
