"""Barlow Twins: each dimension says the same of two views, and no two say the same."""

from __future__ import annotations

from torch import Tensor


def barlow_twins_loss(
    one: Tensor, other: Tensor, *, redundancy: float = 5e-3, epsilon: float = 1e-5
) -> Tensor:
    """Distance of the cross-correlation of two embeddings `[..., D]` from the identity; a scalar.

    Barlow Twins (arXiv 2103.03230, eq. 1-2): the sum of (1 - C_ii)^2 and of `redundancy` times the C_ij^2 off
    the diagonal. It does not change when a dimension is scaled or shifted. A constant dimension counts
    as uncorrelated with itself, 1: `epsilon`, added to variances as batch normalisation does, sees to that.
    """
    first, second = (_standardised(views.flatten(0, -2), epsilon) for views in (one, other))
    correlation = first.T @ second / len(first)
    itself = correlation.diagonal()
    off_diagonal = correlation.square().sum() - itself.square().sum()
    return (1 - itself).square().sum() + redundancy * off_diagonal


def _standardised(values: Tensor, epsilon: float) -> Tensor:
    return (values - values.mean(0)) / (values.var(0, correction=0) + epsilon).sqrt()
