"""Maximum manifold capacity: views of a sample at one place, samples in all directions."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def mmcr_loss(views: Tensor, *, compression: float = 0.0) -> Tensor:
    """Minus the nuclear norm of the samples' centroids, of V views of N samples `[N, V, D]`; a scalar.

    MMCR (arXiv 2303.03307): embeddings are normalised, and the views of a sample averaged to its
    centroid. The sum of singular values of the centroids `[N, D]` is large where views agree (centroids are
    long) and samples fill all directions alike: at best sqrt(N * min(N, D)), and sqrt(N) in a collapse.
    `compression` weighs the mean nuclear norm of a sample's views, which the paper mostly leaves out.
    NaN if a view is not finite.
    """
    if not torch.isfinite(views).all():
        return views.sum() * torch.nan
    directions = normalize(views, dim=-1)
    loss = -torch.linalg.svdvals(directions.mean(1)).sum()
    if compression:
        loss = loss + compression * torch.linalg.svdvals(directions).sum(-1).mean()
    return loss
