"""The terms of the training energy, each a pure function of states.

States are `[B, T, D]`: B windows, T frames. Coefficients live in the recipe, not here.
"""

from __future__ import annotations

import torch
from torch import Tensor


def prediction_loss(predicted: Tensor, observed: Tensor) -> Tensor:
    """Mean squared error of imagined states against encoded ones, both `[B, T, D]`; a scalar.

    Gradients reach both sides, as in PLDM (arXiv 2502.14819, eq. 1): what cannot be predicted is not
    worth encoding. The terms below keep that from emptying the representation.
    """
    return (predicted - observed).square().mean()


def variance_loss(states: Tensor, *, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """Hinge on the standard deviation of every state dimension; a scalar (VICReg, 2105.04906, eq. 1).

    Deviation is taken over windows and frames together, `[B * T, D]`.
    """
    flat = states.flatten(0, -2)
    return torch.relu(target - (flat.var(0) + epsilon).sqrt()).mean()


def covariance_loss(states: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances over D; a scalar (VICReg, 2105.04906, eq. 3-4)."""
    flat = states.flatten(0, -2)
    centred = flat - flat.mean(0)
    covariance = centred.T @ centred / (len(flat) - 1)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    return off_diagonal / states.shape[-1]


def temporal_similarity_loss(states: Tensor) -> Tensor:
    """Mean squared change of the state from one frame to the next; a scalar (PLDM, 2502.14819)."""
    return (states[:, 1:] - states[:, :-1]).square().mean()


def inverse_dynamics_loss(predicted: Tensor, actions: Tensor) -> Tensor:
    """Mean squared error of actions read from pairs of states, both `[B, T, size]`; a scalar.

    Without it the slow, static features win and what the agent moves is not encoded (PLDM; EB-JEPA,
    2602.03604, table 3).
    """
    return (predicted - actions).square().mean()


def invariance_loss(states: Tensor) -> Tensor:
    """Mean squared distance of each frame's state from its window's mean; a scalar.

    VICReg's invariance (2105.04906, eq. 5) with the frames of a window as the views, all pairs at once.
    """
    return (states - states.mean(1, keepdim=True)).square().mean()
