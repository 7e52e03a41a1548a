"""The stage of LeWM: next-embedding prediction and SIGReg."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.training.config import Sketched
from telos.training.representation import inverse_dynamics
from telos.world_model import HistoryPredictor


def sketched_loss(
    model: Model, pixels: Tensor, actions: Tensor, settings: Sketched, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    """LeWM's training energy of windows: the loss, its unweighted terms, and the embeddings `[B, T+1, D]`.

    Every embedding of a window is predicted from those before it, in parallel (squared error, gradients
    reach both sides); SIGReg is taken over the windows of a batch, at each time apart, or around their means
    over all of it.

    Args:
        pixels: uint8 `[B, T+1, frames * C, H, W]`.
        actions: `[B, T, block * A]`.
        generator: draws SIGReg's directions.

    Raises:
        ValueError: the model's predictor has no history, or T is longer than it; or inverse dynamics is
            asked of a model without.
    """
    predictor = model.predictor
    if not isinstance(predictor, HistoryPredictor) or predictor.settings.length < actions.shape[1]:
        raise ValueError(
            "Sketched needs a predictor with a history at least as long as its horizon: "
            f"History(length={actions.shape[1]}); got {model.config.predictor}."
        )
    with model.precision():
        moving, _ = model.encoder(pixels.flatten(0, 1))
        moving = moving.float().unflatten(0, pixels.shape[:2])
        predicted = predictor(moving[:, :-1], actions).float()
    joint = ssl.gather(moving)
    if settings.around_window_mean:
        frames = moving.shape[1]
        centred = (joint - joint.mean(1, keepdim=True)) * math.sqrt(frames / (frames - 1))
        sketched = centred.flatten(0, 1)
    else:
        sketched = joint.transpose(0, 1)
    terms = {
        "prediction": (predicted - moving[:, 1:]).square().mean(),  # of all processes' windows by averaging
        "sigreg": ssl.sigreg(sketched, generator, slices=settings.slices),
    }
    loss = terms["prediction"] + settings.sigreg * terms["sigreg"]
    if settings.inverse:
        terms["inverse"] = inverse_dynamics(model, moving, actions)
        loss = loss + settings.inverse * terms["inverse"]
    return loss, terms, moving.detach()
