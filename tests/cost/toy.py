"""A toy world model: states are places in the plane, padded to `[B, 4]`; a block moves by its action."""

import torch
from torch import Tensor

from telos.types import Trajectory


def rollout(state: Tensor, actions: Tensor) -> Trajectory:
    B, S, _, size = actions.shape
    way = torch.cat([torch.zeros(B, S, 1, size).to(actions), actions.cumsum(2)], 2)
    bent = torch.nn.functional.pad(way + 0.1 * way.sin(), (0, state.shape[-1] - size))
    return Trajectory((state[:, None, None] + bent)[:, :, None], actions)


def place(states: Tensor) -> Tensor:
    """The readout: where the state is."""
    return states[..., :2]
