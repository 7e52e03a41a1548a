"""InfoNCE: tell the partner of a sample from all other samples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, normalize


def info_nce_loss(one: Tensor, other: Tensor, *, temperature: float = 0.1) -> Tensor:
    """How badly each embedding's partner is told from the rest, both `[..., D]`, pairwise; a scalar.

    InfoNCE (arXiv 1807.03748, eq. 4) as SimCLR takes it (arXiv 2002.05709, eq. 1): the score is the cosine
    over `temperature`, the partner of each of the 2 N embeddings is the other view of its sample, and
    the other 2 N - 2 are negatives. In a collapse it is log(2 N - 1), a guess; what it is below that is a
    lower bound of the information that the views share. Frames of one window are each other's negatives too.
    """
    first, second = (normalize(view.flatten(0, -2), dim=-1) for view in (one, other))
    samples = len(first)
    if samples < 2 or not temperature > 0:
        raise ValueError(
            "one must hold at least 2 embeddings, to be told apart, and temperature must be positive; "
            f"got {samples} and {temperature}."
        )
    both = torch.cat([first, second])
    scores = both @ both.T / temperature
    itself = torch.eye(2 * samples, dtype=torch.bool, device=both.device)
    partner = torch.arange(2 * samples, device=both.device).roll(samples)
    return cross_entropy(scores.masked_fill(itself, -torch.inf), partner)
