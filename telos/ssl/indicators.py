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
def within_episode_share(states: Tensor) -> float:
    """The share of variance that time explains: variance within windows over all, states `[B, T, D]`.

    Near zero is a slow-feature collapse: what stays fixed in an episode is encoded, what moves is not.
    """
    total = states.flatten(0, 1).var(0, correction=0).sum()
    within = states.var(1, correction=0).mean(0).sum()
    return float(within / total.clamp_min(1e-12))


@torch.no_grad()
def indicators(states: Tensor) -> dict[str, float]:
    """The collapse indicators of a batch of states `[B, T, D]`, by name."""
    flat = states.flatten(0, 1)
    return {
        "std": float(flat.std(0).mean()),
        "rank": rank_me(states),
        "within_episode_variance": within_episode_share(states),
    }
