"""Collapse indicators: numbers that show early that a representation has lost what it should hold."""

from __future__ import annotations

import math

import torch
from torch import Tensor


@torch.no_grad()
def rank_me(states: Tensor, *, epsilon: float = 1e-7) -> float:
    """Effective rank of states `[..., D]`: exponential of the entropy of the singular values.

    RankMe, Garrido et al. 2023 (arXiv 2210.02885, eq. 1-2); uncentred there, centred here, since a
    constant offset is not a dimension. NaN if a state is not finite.
    """
    flat = states.flatten(0, -2).float()
    if not torch.isfinite(flat).all():
        return math.nan
    singular = torch.linalg.svdvals(flat - flat.mean(0))
    share = singular / singular.sum().clamp_min(epsilon) + epsilon
    return float((-share * share.log()).sum().exp())


@torch.no_grad()
def spectrum(states: Tensor) -> list[float]:
    """Shares of the variance of states `[..., D]` by principal direction, falling; up to D of them."""
    flat = states.flatten(0, -2).double()
    variances = torch.linalg.svdvals(flat - flat.mean(0)).square()
    return (variances / variances.sum().clamp_min(1e-12)).tolist()


@torch.no_grad()
def lidar(states: Tensor, *, ridge: float = 1e-4, epsilon: float = 1e-7) -> float:
    """How many dimensions tell classes apart, of states `[B, T, D]`: B classes, T samples of each.

    LiDAR, Thilak et al. 2023 (arXiv 2312.04000): the exponential of the entropy of the eigenvalues of
    W^-1/2 S W^-1/2, S the covariance of class means and W the mean covariance within classes. Classes are
    augmentations of one picture there, windows of time here. Noise within windows counts less than in the
    rank of states, and the less the more samples it has: means of T keep 1 / T of its variance. At most
    B - 1. Before it is inverted W is raised by `ridge` (there of the identity, here of the
    mean variance of a state, so that scale does not count). NaN if a state is not finite.
    """
    if not torch.isfinite(states).all():
        return math.nan
    states = states.double()
    means = states.mean(1)
    around, apart = (states - means[:, None]).flatten(0, 1), means - means.mean(0)
    variance = (around.square().mean() + apart.square().mean()).clamp_min(1e-12)
    if around.shape[1] > len(around) + len(apart):  # the same in the space that the samples span
        _, _, axes = torch.linalg.svd(torch.cat([around, apart]), full_matrices=False)
        around, apart = around @ axes.T, apart @ axes.T
    within = around.T @ around / len(around)
    within.diagonal().add_(ridge * variance)
    told = torch.linalg.solve_triangular(torch.linalg.cholesky(within), apart.T, upper=False)
    eigenvalues = torch.linalg.svdvals(told).square()
    share = eigenvalues / eigenvalues.sum().clamp_min(epsilon) + epsilon
    return float((-share * share.log()).sum().exp())


@torch.no_grad()
def within_episode_share(states: Tensor) -> float:
    """The share of variance that time explains: variance within windows over all, states `[B, T, D]`.

    Near zero is a slow-feature collapse: what stays fixed in an episode is encoded, what moves is not.
    """
    total = states.flatten(0, 1).var(0, correction=0).sum()
    within = states.var(1, correction=0).mean(0).sum()
    return float(within / total.clamp_min(1e-12))


@torch.no_grad()
def spread(embeddings: Tensor) -> float:
    """How far the directions of embeddings `[..., D]` differ: 0 if all are one, 1 if all are as frequent.

    The deviation of normalised embeddings, times the root of D (SimSiam, arXiv 2011.10566, section 4.1): what
    shows a collapse of methods that compare directions, which leave the scale of states open.
    """
    directions = torch.nn.functional.normalize(embeddings.flatten(0, -2).float(), dim=-1)
    return float(directions.std(0).mean() * directions.shape[-1] ** 0.5)


@torch.no_grad()
def indicators(states: Tensor) -> dict[str, float]:
    """The collapse indicators of a batch of states `[B, T, D]`, by name."""
    flat = states.flatten(0, 1)
    return {
        "std": float(flat.std(0).mean()),
        "rank": rank_me(states),
        "lidar": lidar(states),
        "within_episode_variance": within_episode_share(states),
    }
