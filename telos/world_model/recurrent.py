"""A recurrent predictor: what moves is the state of a GRU, and the actions are what it is told."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos.types import ActionSpace
from telos.world_model.predictor import Predictor, action_scale


@dataclass(frozen=True)
class Recurrent:
    """The settings of a `RecurrentPredictor`. As given, EB-JEPA's in two rooms."""

    normalised: bool = True  # by a layer normalisation after every block, as the states of `Residual` are

    def build(
        self, *, size: int, frames: int, space: ActionSpace, keypoints: int, scene_channels: int
    ) -> RecurrentPredictor:
        """A new predictor of what moves, `[D]` with D = `size`. `ValueError` where there is a scene."""
        if scene_channels:
            raise ValueError("Recurrent knows no scene; give scene_channels=0, or use Glimpse.")
        return RecurrentPredictor(size=size, space=space, normalised=self.normalised)


class RecurrentPredictor(Predictor):
    """What moves, and a block of actions, to what moves one block later: one step of a GRU per block.

    The shape of EB-JEPA's predictor in two rooms (arXiv 2602.03604): the state of a gated recurrent unit (Cho
    et al. 2014, arXiv 1406.1078) of D units is what moves, its input the scaled actions of the block. Nothing
    else is remembered, so imagining can begin at any state. EB-JEPA normalises what is imagined by the
    encoder's own layer normalisation; this predictor has one of its own.
    """

    def __init__(self, *, size: int, space: ActionSpace, normalised: bool = True) -> None:
        super().__init__()
        self.register_buffer("action_scale", action_scale(space))
        self.told = nn.Linear(space.dimension * space.block, 3 * size)
        self.kept = nn.Linear(size, 3 * size)
        self.norm = nn.LayerNorm(size) if normalised else nn.Identity()

    def imagine(self, moving: Tensor, blocks: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, T+1, D]` from `[B, S, D]` on, one block after the other."""
        states = [moving]
        for told in self._inputs(blocks).unbind(-2):
            states.append(self._step(states[-1], told))
        return torch.stack(states, -2)

    def forward(self, moving: Tensor, actions: Tensor, scene: Tensor | None = None) -> Tensor:
        """What moves `[..., D]` one block of actions `[..., block * A]` later, `[..., D]`."""
        return self._step(moving, self._inputs(actions))

    def _inputs(self, blocks: Tensor) -> Tensor:
        each = blocks.unflatten(-1, (-1, len(self.action_scale)))
        return self.told((each * self.action_scale).flatten(-2))

    def _step(self, moving: Tensor, told: Tensor) -> Tensor:
        reset, update, new = told.chunk(3, -1)
        reset_kept, update_kept, new_kept = self.kept(moving).chunk(3, -1)
        new = torch.tanh(new + torch.sigmoid(reset + reset_kept) * new_kept)
        state = torch.lerp(new.to(moving.dtype), moving, torch.sigmoid(update + update_kept).to(moving.dtype))
        return self.norm(state).to(moving.dtype)
