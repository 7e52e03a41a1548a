"""The first stage: learn what to encode, by predicting it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.config import Weights
from telos.world_model import unroll


def representation_loss(
    model: Model, pixels: Tensor, actions: Tensor, weights: Weights, *, scene_at: Tensor
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """The training energy of windows: the loss, its unweighted terms, and what moves `[B, T+1, D]`.

    The terms are PLDM's (arXiv 2502.14819): multi-step prediction, variance, covariance, temporal
    similarity, inverse dynamics, all of what moves; variance, covariance and similarity of its pose alone
    (what one frame shows), since jitter between frames would earn variance. With `around_window_mean`,
    variance and covariance are taken around each window's mean, so that a layout cannot fill the state
    (a slow-feature collapse). The scene has no term of its own: what predicting needs of it is learned
    through the predictor's glimpses. It is read from one frame of the window, at random, so that what
    moves in that frame is no part of it.

    Args:
        pixels: uint8 `[B, T+1, frames * C, H, W]`.
        actions: `[B, T, block * A]`.
        scene_at: int64 `[B]` in 0..T, the frame whose scene is used.
    """
    encoder, rows = model.encoder, torch.arange(len(pixels), device=pixels.device)
    with model.precision():
        features = encoder.features(pixels.flatten(0, 1))
        moving = encoder.moving(features).unflatten(0, pixels.shape[:2])
        scene = encoder.scene_of(features.unflatten(0, pixels.shape[:2])[rows, scene_at])
        predict = partial(model.predictor, scene=scene)
        imagined = unroll(predict, moving[:, None, 0], actions[:, None])[:, 0]
    pose = moving[..., : model.config.pose_size]
    around = pose - pose.mean(1, keepdim=True) if weights.around_window_mean else pose
    terms = {
        "prediction": ssl.relative_prediction_loss(
            imagined[:, 1:], moving[:, 1:], around_window_mean=weights.around_window_mean
        ),
        "inverse": inverse_dynamics(model, moving, actions),
        "variance": ssl.variance_loss(around, target=weights.deviation),
        "covariance": ssl.covariance_loss(around),
        "temporal": ssl.temporal_similarity_loss(pose),
    }
    loss = torch.stack([getattr(weights, name) * term for name, term in terms.items()]).sum()
    return loss, terms, moving.detach()


def inverse_dynamics(model: Model, moving: Tensor, actions: Tensor) -> Tensor:
    """How badly the scaled actions `[B, T, block * A]` are told from what moves, `[B, T+1, D]`; a scalar.

    `ValueError` where the model was not made to tell them.
    """
    if model.inverse is None:
        raise ValueError("the model tells no actions; make it with recovered='each' or 'mean'.")
    with model.precision():
        recovered = model.inverse(moving[:, :-1], moving[:, 1:]).float()
    space = model.config.action_space
    each = actions.unflatten(-1, (space.block, -1)) * model.predictor.action_scale
    taken = each.mean(-2, keepdim=True) if model.config.recovered == "mean" else each
    recover = ssl.inverse_choice_loss if space.one_hot else ssl.inverse_dynamics_loss
    return recover(recovered.unflatten(-1, taken.shape[-2:]), taken)
