"""The terms of the training energy, each a pure function of states.

States are `[B, T, D]`: B windows, T frames. Coefficients live in the recipe, not here.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


def prediction_loss(predicted: Tensor, observed: Tensor) -> Tensor:
    """Mean absolute error of imagined states against encoded ones, both `[B, T, D]`; a scalar.

    Gradients reach both sides, as in PLDM (arXiv 2502.14819, eq. 1): what cannot be predicted is not
    worth encoding. The terms below keep that from emptying the representation. Absolute as in V-JEPA
    (arXiv 2404.08471), not squared as in PLDM: the best guess is then the median future. At the edge of
    a door the mean of passing and not passing is a creep through the wall, which a search finds.
    """
    return (predicted - observed).abs().mean()


def relative_prediction_loss(
    predicted: Tensor, observed: Tensor, *, around_window_mean: bool = True, epsilon: float = 1e-3
) -> Tensor:
    """Logarithm of the prediction loss as a share of how far states deviate, both `[B, T, D]`; a scalar.

    Deviations are from each window's mean (how far states move), or from the mean of all windows, where
    what differs between episodes is what the task is about. A state that jumps at rare events is hardly
    less predictable than a slow arm, as a share of its motion; as a share of all deviation it is.

    It does not fall when states shrink, so it does not work towards a collapse, and the smaller the error
    the larger its gradient: what is left to gain is precision. (The negative log-likelihood under a
    Laplace distribution of the best scale, with states in units of their deviation; `epsilon` is the share
    at which it levels off.)
    """
    mean = observed.mean(1, keepdim=True) if around_window_mean else observed.mean((0, 1))
    deviation = (observed - mean).abs().mean()
    return (prediction_loss(predicted, observed) / deviation.clamp_min(1e-8) + epsilon).log()


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
    """Mean absolute error of actions read from pairs of states, both `[B, T, size]`; a scalar.

    Without it the slow, static features win and what the agent moves is not encoded (PLDM; EB-JEPA,
    2602.03604, table 3). Absolute and not squared, so that steps that met a wall, from which the action
    cannot be told, do not drown the precision of all others.
    """
    return (predicted - actions).abs().mean()


def inverse_choice_loss(predicted: Tensor, actions: Tensor) -> Tensor:
    """Cross-entropy of discrete actions read from pairs of states, in units of a guess's; a scalar.

    Scores and one-hot actions (or a block's mean of them) are both `[B, T, ..., n]`. As
    `inverse_dynamics_loss`, for discrete actions, where an absolute error has no slope before an action is
    told more likely than not.
    """
    n = actions.shape[-1]
    surprise = nn.functional.cross_entropy(predicted.reshape(-1, n), actions.reshape(-1, n))
    return surprise / math.log(max(n, 2))
