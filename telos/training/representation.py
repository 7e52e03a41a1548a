"""The first stage: learn what to encode, by predicting it."""

from __future__ import annotations

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.config import Weights
from telos.world_model import unroll


def representation_loss(
    model: Model, pixels: Tensor, actions: Tensor, weights: Weights
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The training energy of windows: the loss, its unweighted terms, and the states `[B, T+1, D]`.

    The terms are PLDM's (arXiv 2502.14819): multi-step prediction, variance, covariance, temporal
    similarity, inverse dynamics. What we add: the state has two parts. The first `slow_size` dimensions
    hold what stays fixed during an episode: invariant over a window and spread over episodes (VICReg
    with time as the augmentation), since prediction alone takes long to notice a door that few windows
    pass. The others hold what changes: their variance and covariance are taken around each window's
    mean, so that a layout cannot fill them (a slow-feature collapse, which otherwise shares the state),
    and inverse dynamics reads them alone.

    Args:
        pixels: uint8 `[B, T+1, C, H, W]`.
        actions: `[B, T, block * A]`.
    """
    cut = model.config.slow_size
    with model.precision():
        states = model.encoder(pixels.flatten(0, 1)).unflatten(0, pixels.shape[:2])
        imagined = unroll(model.predictor, states[:, 0], actions)
        slow, fast = states[..., :cut], states[..., cut:]
        recovered = model.inverse(fast[:, :-1], fast[:, 1:]).float()
    moving = fast - fast.mean(1, keepdim=True) if weights.around_window_mean else fast
    terms = {
        "prediction": ssl.prediction_loss(imagined[:, 1:, cut:], fast[:, 1:]),
        "inverse": ssl.inverse_dynamics_loss(recovered, actions * model.predictor.action_scale),
        "variance": ssl.variance_loss(moving, target=weights.fast_deviation),
        "covariance": ssl.covariance_loss(moving),
        "temporal": ssl.temporal_similarity_loss(fast),
    }
    if cut:
        terms["slow_prediction"] = ssl.prediction_loss(imagined[:, 1:, :cut], slow[:, 1:])
        terms["slow_variance"] = ssl.variance_loss(slow)
        terms["slow_covariance"] = ssl.covariance_loss(slow)
        terms["slow_invariance"] = ssl.invariance_loss(slow)
    loss = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return loss, terms, states.detach()
