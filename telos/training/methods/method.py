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
        """What was imagined and what was observed, `[B, T, D]` each: see `view`."""
        return self.view(self.imagined), self.view(self.observed)

    def view(self, states: Tensor) -> Tensor:
        """Of states `[b, T+1, D]` all but the first `[B, T, D]`; around their own mean, if that is asked.

        Of all processes, since methods compare samples. Nothing is taken off both views: neither the
        observed mean, which has the future in it that the imagined view is to foretell, nor the state that
        the window begins with, whose noise both would then share, so that it would pay to encode noise.
        Imagined over fewer steps than the window has (`Representation.ahead`), a state comes from one whose
        noise is in the observed mean: of white noise the views then correlate by up to 1 / T.

        Raises:
            ValueError: around the mean of a single frame nothing is left.
        """
        ahead = ssl.gather(states[:, 1:].float())
        if not self.around_window_mean:
            return ahead
        if ahead.shape[1] < 2:
            raise ValueError(
                "horizon must be at least 2 where windows are compared by how they vary "
                f"(around_window_mean); got {ahead.shape[1]}."
            )
        return ahead - ahead.mean(1, keepdim=True)

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
        self.embedding: Tensor | None = None

    def noted(self, embedding: Tensor) -> Tensor:
        """An embedding `[..., E]` of what was observed, kept for the indicators; it is returned."""
        self.embedding = embedding.detach()
        return embedding

    @abstractmethod
    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The unweighted terms, by name, each a scalar."""

    def after_step(self, model: Model, *, step: int, steps: int) -> None:
        """The optimiser has taken step `step`, from 1 to `steps`: a teacher may follow."""


@dataclass(frozen=True)
class Head:
    """A network between states and a loss, thrown away after training: projector, expander.

    What it is given is first brought to the deviation one, by one number for the whole batch: before
    anything is learned windows of keypoints vary by a hundredth, which a network with biases would not see.
    Behind that it is layer-normalised, where the papers normalise over the batch.
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
        layers: list[nn.Module] = [_UnitDeviation()]
        for width in (inputs, self.hidden):
            layers += [nn.Linear(width, self.hidden), nn.LayerNorm(self.hidden), nn.ReLU()]
        return nn.Sequential(*layers, nn.Linear(self.hidden, self.size))


class _UnitDeviation(nn.Module):
    """A batch `[..., D]` around its mean, in units of its deviation: batch normalisation with one scale."""

    def forward(self, states: Tensor) -> Tensor:
        centred = states - states.flatten(0, -2).mean(0)
        return centred / centred.square().mean().add(1e-12).sqrt()
