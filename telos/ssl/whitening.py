"""W-MSE: two views agree after what differs between them in scale and correlation has been taken away."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity


def whiten(values: Tensor, *, shrinkage: float = 1e-4) -> Tensor:
    """Values `[..., N, D]` with mean 0 and the identity as covariance over N, by a Cholesky decomposition.

    W-MSE (arXiv 2007.06346, section 3). The covariance is mixed with
    `shrinkage` of the identity, so that a constant dimension becomes 0 and not infinite. Where that is lost
    in the digits of large values that vary in few directions, it is done in double precision. NaN if a
    value is not finite, or the covariance is beyond that too.
    """
    if not torch.isfinite(values).all():
        return values * torch.nan
    centred = values - values.mean(-2, keepdim=True)
    covariance = centred.mT @ centred / (values.shape[-2] - 1)
    identity = torch.eye(values.shape[-1], dtype=values.dtype, device=values.device)
    factor, failed = torch.linalg.cholesky_ex((1 - shrinkage) * covariance + shrinkage * identity)
    if failed.any():
        if values.dtype == torch.float64:
            return values * torch.nan
        return whiten(values.double(), shrinkage=shrinkage).to(values.dtype)
    return torch.linalg.solve_triangular(factor, centred.mT, upper=False).mT


def wmse_loss(
    one: Tensor,
    other: Tensor,
    generator: torch.Generator,
    *,
    together: int,
    repeats: int = 1,
    shrinkage: float = 1e-4,
) -> Tensor:
    """Squared distance of normalised whitened embeddings of the same samples, both `[N, D]`; in 0..4.

    W-MSE (arXiv 2007.06346, section 3): samples are shuffled, both views alike, and each view is whitened
    `together` samples at a time (what does not fill a group is left out), as often as `repeats` says; the
    mean over it is taken. The distance is written 2 - 2 cos: an embedding that whitens to 0, as a constant
    one does, is as far from the other view as an unrelated one.

    Args:
        generator: shuffles, on the CPU.
        together: more than D, or no covariance is known; the paper takes 2 D.
    """
    samples, size = one.shape
    if not size < together <= samples or repeats < 1:
        raise ValueError(
            f"together must be more than D = {size} and at most N = {samples}, and repeats at least 1; "
            f"got {together} and {repeats}. Take 2 * D, and a batch of as many samples."
        )
    groups = samples // together
    alike = []
    for _ in range(repeats):
        order = torch.randperm(samples, generator=generator)[: groups * together].to(one.device)
        first, second = (
            whiten(view[order].unflatten(0, (groups, together)), shrinkage=shrinkage) for view in (one, other)
        )
        alike.append(cosine_similarity(first, second, dim=-1).mean())
    return 2 - 2 * torch.stack(alike).mean()
