"""Inverse dynamics: the actions that led from one state to the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import mlp


class InverseDynamics(nn.Module):
    """Two states `[..., D]` one block apart to the scaled actions between them.

    Each action, `[..., block * A]`, or their mean, `[..., A]`: where things have inertia, two states tell how
    much a block of torques has pushed, but hardly when within it. For discrete actions, a score of each of n.
    """

    def __init__(self, *, state_size: int, action_size: int, hidden: int = 256) -> None:
        super().__init__()
        self.network = mlp([2 * state_size, hidden, action_size])

    def forward(self, states: Tensor, following: Tensor) -> Tensor:
        """The scaled actions between `states` and `following`."""
        return self.network(torch.cat([states, following], dim=-1))
