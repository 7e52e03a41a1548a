"""VICReg: two embeddings of a sample agree, and dimensions vary, each on its own."""

from __future__ import annotations

import torch
from torch import Tensor


def variance_loss(states: Tensor, *, target: float = 1.0, epsilon: float = 1e-4) -> Tensor:
    """Hinge on the standard deviation of every state dimension; a scalar (VICReg, 2105.04906, eq. 1).

    Deviation is taken over all but the last axis of `[..., D]`: windows and frames together.
    """
    flat = states.flatten(0, -2)
    return torch.relu(target - (flat.var(0) + epsilon).sqrt()).mean()


def covariance_loss(states: Tensor) -> Tensor:
    """Sum of squared off-diagonal covariances of `[..., D]`, over D; a scalar (2105.04906, eq. 3-4)."""
    flat = states.flatten(0, -2)
    centred = flat - flat.mean(0)
    covariance = centred.T @ centred / (len(flat) - 1)
    off_diagonal = covariance.square().sum() - covariance.diagonal().square().sum()
    return off_diagonal / states.shape[-1]


def vicreg_loss(
    one: Tensor, other: Tensor, *, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0
) -> Tensor:
    """VICReg (arXiv 2105.04906, eq. 6) of two embeddings of the same samples, both `[..., D]`; a scalar.

    The weights are the paper's. The squared distance of a pair is averaged over D, as in its algorithm 1,
    where its eq. 5 sums.
    """
    pairs = (one - other).square().mean()
    spread = variance_loss(one) + variance_loss(other)
    shared = covariance_loss(one) + covariance_loss(other)
    return invariance * pairs + variance * spread + covariance * shared
