"""Predictors: the next state from a state and a block of actions."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from telos.nn import mlp


class ResidualPredictor(nn.Module):
    """States `[N, D]` and block actions `[N, block * A]` to the states one block later, `[N, D]`.

    The network predicts the change, so that what the actions do not touch stays. `action_scale`
    `[block * A]` brings actions to about unit size.
    """

    def __init__(self, *, state_size: int, action_scale: Tensor, hidden: int = 512, layers: int = 3) -> None:
        super().__init__()
        self.register_buffer("action_scale", action_scale.clone())
        self.action_scale: Tensor
        self.network = mlp([state_size + len(action_scale), *[hidden] * (layers - 1), state_size])

    def forward(self, states: Tensor, actions: Tensor) -> Tensor:
        """The states one block later."""
        change = self.network(torch.cat([states, actions * self.action_scale], dim=-1))
        return states + change.to(states.dtype)
