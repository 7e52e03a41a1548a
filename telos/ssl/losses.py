"""What a state must foretell and be told from: the terms of the training energy that are about time.

States are `[B, T, D]`: B windows, T frames. Coefficients live in the recipe, not here.
"""

from __future__ import annotations

import math
from collections.abc import Callable

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
    if around_window_mean and observed.shape[1] < 2:
        raise ValueError(
            "states must have 2 time steps or more to deviate from their window's mean; got "
            f"{observed.shape[1]}. Take longer windows (horizon=2), or give around_window_mean=False."
        )
    mean = observed.mean(1, keepdim=True) if around_window_mean else observed.mean((0, 1))
    deviation = (observed - mean).abs().mean()
    return (prediction_loss(predicted, observed) / deviation.clamp_min(1e-8) + epsilon).log()


def temporal_similarity_loss(states: Tensor) -> Tensor:
    """Mean squared change of the state from one frame to the next; a scalar (PLDM, 2502.14819)."""
    return (states[:, 1:] - states[:, :-1]).square().mean()


def curvature_loss(states: Tensor, *, epsilon: float = 1e-6) -> Tensor:
    """How much the state's path `[B, T, D]` bends: the mean of 1 - cos of successive changes; in 0..2.

    Temporal straightening (arXiv 2603.12231): where paths are straight, the distance between states is that
    along the path, and planning by gradient has fewer traps. Where a state stays as it is the cosine counts
    as 0: the product of the two lengths is taken as at least `epsilon`, which also bounds the gradient.
    """
    if states.shape[1] < 3:
        raise ValueError(
            f"states must have 3 time steps or more to bend; got {states.shape[1]}. Take longer windows."
        )
    change = states[:, 1:] - states[:, :-1]
    before, after = change[:, :-1], change[:, 1:]
    lengths = torch.linalg.vector_norm(before, dim=-1) * torch.linalg.vector_norm(after, dim=-1)
    return 1 - ((before * after).sum(-1) / lengths.clamp_min(epsilon)).mean()


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


def endpoint_inverse_loss(
    read: Callable[[Tensor, Tensor], Tensor], states: Tensor, actions: Tensor
) -> Tensor:
    """Squared error, summed over A, of a window's actions read from its first and last state; a scalar.

    EP-IDM (arXiv 2610.07540, eq. 14). To read T actions exactly takes every direction of the state that they
    reach, and directions that grow show most: unstable modes, which prediction and SIGReg may leave out,
    are kept.

    Args:
        read: from the first and the last state, both `[B, D]`, to all actions `[B, T * A]`.
        states: `[B, T+1, D]`; those in between are not looked at.
        actions: `[B, T, A]`. `actions.mean(1, keepdim=True)` asks for their mean, where the order of pushes
            cannot be told from where they led.
    """
    told = read(states[:, 0], states[:, -1]).unflatten(-1, actions.shape[1:])
    return (told - actions).square().sum(-1).mean()
