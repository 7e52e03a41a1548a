"""What a method of learning a representation is: settings that build a criterion, and what that is shown."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos import ssl
from telos.model import Model


@dataclass(frozen=True)
class Seen:
    """Windows of one training step, as the model sees and imagines them."""

    pixels: Tensor  # uint8 [B, T+1, frames * C, H, W]
    observed: Tensor  # [B, T+1, D], what moves, encoded
    imagined: Tensor  # [B, T+1, D], the same, each predicted from an earlier observed one and the actions
    scene: Tensor | None  # [B, C, h, w], of one frame of each window
    scene_at: Tensor  # int64 [B], which frame that is
    pose_size: int  # how much of D, from its start, one frame shows
    around_window_mean: bool  # whether windows are compared by how they vary, not by how they differ

    def views(self) -> tuple[Tensor, Tensor]:
        """What was imagined and what was observed, `[B, T, D]` each, without the frame they begin with.

        Of all processes, since methods compare samples. If windows are compared by how they vary, from the
        state that they begin with, which the predictor is told; not around their mean, which has the future
        in it that the imagined view is to foretell.
        """
        return self.since_begin(self.imagined), self.since_begin(self.observed)

    def since_begin(self, states: Tensor) -> Tensor:
        """Of states `[b, T+1, D]` all but the first, from the first on if that is asked for; `[B, T, D]`."""
        ahead = states[:, 1:] - states[:, :1] if self.around_window_mean else states[:, 1:]
        return ssl.gather(ahead.float())

    def poses(self) -> Tensor:
        """The observed poses `[B, T+1, P]` of all processes; around the window's mean, if that is asked."""
        return ssl.gather(self.centred(self.observed[..., : self.pose_size]))

    def centred(self, states: Tensor) -> Tensor:
        """States `[B, T+1, D]`, around their window's mean if that is asked for."""
        return states - states.mean(1, keepdim=True) if self.around_window_mean else states


class Criterion(nn.Module, ABC):
    """The terms of a method's loss, and the parts that only training needs: heads, teachers, decoders.

    What keeps the representation from collapsing is in here; inverse dynamics and whatever else is asked
    beside it is the same for all methods (`RepresentationLoss`).

    Args:
        weights: what each term weighs, by its name.
        detached: whether what is imagined trains the predictor alone, and tells the encoder nothing.
    """

    def __init__(self, weights: Mapping[str, float], *, detached: bool = False) -> None:
        super().__init__()
        self.weights, self.detached = dict(weights), detached

    @abstractmethod
    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The unweighted terms, by name, each a scalar."""

    def after_step(self, model: Model, *, step: int, steps: int) -> None:
        """The optimiser has taken step `step`, from 1 to `steps`: a teacher may follow."""


@dataclass(frozen=True)
class Head:
    """A network between states and a loss, thrown away after training: projector, expander.

    Layer-normalised where the papers normalise over the batch, so that a sample's embedding is its own.
    """

    hidden: int = 256
    size: int = 128  # of the embedding

    def __post_init__(self) -> None:
        if self.hidden < 1 or self.size < 2:
            raise ValueError(
                f"hidden must be at least 1 and size at least 2; got {self.hidden} and {self.size}."
            )

    def build(self, inputs: int) -> nn.Sequential:
        """A new head of two hidden layers, `[..., inputs]` to `[..., size]`."""
        layers: list[nn.Module] = []
        for width in (inputs, self.hidden):
            layers += [nn.Linear(width, self.hidden), nn.LayerNorm(self.hidden), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(self.hidden, self.size))
