"""Generative methods, what the others replace: states are what pixels can be drawn from."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from telos import ssl
from telos.model import Model
from telos.nn import batch_statistics, rand_rows
from telos.perception import BroadcastDecoder
from telos.training.methods.method import Criterion, Seen


@dataclass(frozen=True)
class Reconstruction:
    """An autoencoder: the squared error of frames drawn from their own states.

    The predictor learns beside it, from states and scenes that it does not change.
    """

    weight: float = 100.0  # of the mean squared error, of pixels from 0 to 1
    prediction: float = 1.0
    drawn: int = 2  # frames per window, at random
    motion: float = 0.0  # how much more a pixel weighs, per distance (0 to 1) from its window's mean

    def build(self, model: Model) -> DrawnCriterion:
        """A new criterion for a model."""
        return DrawnCriterion(self, model, imagined=False)


@dataclass(frozen=True)
class NextFrame:
    """Pixel prediction: the squared error of frames drawn from imagined states, however far ahead.

    Deterministic: where the future is not, what is drawn is its mean. The frame that a window begins with is
    drawn too. Gradients go through every step that was imagined; nothing compares states with states.
    """

    weight: float = 100.0  # of the mean squared error, of pixels from 0 to 1
    drawn: int = 2  # frames per window, at random
    motion: float = 0.0  # how much more a pixel weighs, per distance (0 to 1) from its window's mean

    def build(self, model: Model) -> DrawnCriterion:
        """A new criterion for a model."""
        return DrawnCriterion(self, model, imagined=True)


@dataclass(frozen=True)
class MaskedAutoencoding:
    """Masked autoencoding (MAE, arXiv 2111.06377): hidden patches are drawn from what is left of a frame.

    Hidden ones have the mean colour, since the encoder is a convolution and not a set of patches; only
    they count. What is left of the frame gives the state; the scene is that of another frame. The predictor
    learns beside it, from states and scenes that it does not change.
    """

    weight: float = 100.0  # of the mean squared error, of pixels from 0 to 1
    prediction: float = 1.0
    hidden: float = 0.75  # share of patches
    patch: int = 8  # pixels a side
    drawn: int = 2  # frames per window, at random

    def __post_init__(self) -> None:
        if not 0 < self.hidden < 1 or self.patch < 1:
            raise ValueError(
                f"hidden must be between 0 and 1 and patch at least 1; got {self.hidden} and {self.patch}."
            )

    def build(self, model: Model) -> MaskedCriterion:
        """A new criterion for a model."""
        return MaskedCriterion(self, model)


class _Drawing(Criterion):
    """A criterion that draws: a decoder, the frames it is asked for, and what is left over of them."""

    def __init__(self, weights: dict[str, float], model: Model, drawn: int, *, detached: bool) -> None:
        super().__init__(weights, detached=detached)
        if drawn < 1:
            raise ValueError(f"drawn must be at least 1; got {drawn}.")
        config = model.config
        self.drawn, self.colours = drawn, config.frame_shape[2]
        self.decoder = BroadcastDecoder(
            state_size=config.state_size,
            scene_channels=config.perception.scene_channels,
            channels=self.colours,
            image_size=config.frame_shape[:2],
        )

    def times(self, seen: Seen, generator: torch.Generator) -> Tensor:
        """Which frames of each window are drawn: int64 `[B, drawn]`, all different.

        Not that which the scene is read from: the scene would show where things are, and states need not.
        """
        windows, frames = seen.pixels.shape[:2]
        chance = rand_rows(windows, frames, generator=generator).to(seen.scene_at.device)
        chance[torch.arange(windows, device=chance.device), seen.scene_at] += 1
        return chance.argsort(1)[:, : min(self.drawn, frames - 1)]

    def target(self, seen: Seen, times: Tensor) -> Tensor:
        """The last picture of the frames at `times`, `[B * drawn, C, H, W]`, from 0 to 1."""
        return _at(seen.pixels[:, :, -self.colours :], times).float() / 255

    def draw(self, model: Model, states: Tensor, scene: Tensor | None) -> Tensor:
        """Pictures `[N, C, H, W]` of states `[N, D]`."""
        with model.precision():
            return self.decoder(states, scene).float()


class DrawnCriterion(_Drawing):
    """The terms of `Reconstruction` or, of what was `imagined`, of `NextFrame`; and a decoder."""

    def __init__(self, settings: Reconstruction | NextFrame, model: Model, *, imagined: bool) -> None:
        weights = {"next_frame" if imagined else "reconstruction": settings.weight}
        if isinstance(settings, Reconstruction):
            weights["prediction"] = settings.prediction
        super().__init__(weights, model, settings.drawn, detached=not imagined)
        self.imagined, self.motion = imagined, settings.motion

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The squared error of what is drawn; without `imagined`, the error of prediction too."""
        times = self.times(seen, generator)
        states = _at(seen.imagined if self.imagined else seen.observed, times)
        scene = None if seen.scene is None else seen.scene.repeat_interleave(times.shape[1], 0)
        error = (self.draw(model, states, scene) - self.target(seen, times)).square()
        if self.motion:
            pictures = seen.pixels[:, :, -self.colours :].float() / 255
            moved = _at((pictures - pictures.mean(1, keepdim=True)).abs(), times)
            error = error * (1 + self.motion * moved.amax(1, keepdim=True))
        if self.imagined:
            return {"next_frame": error.mean()}
        return {"reconstruction": error.mean(), "prediction": _prediction(seen)}


class MaskedCriterion(_Drawing):
    """The terms of `MaskedAutoencoding`, and its decoder."""

    def __init__(self, settings: MaskedAutoencoding, model: Model) -> None:
        weights = {"masked": settings.weight, "prediction": settings.prediction}
        super().__init__(weights, model, settings.drawn, detached=True)
        self.settings = settings
        height, width = model.config.frame_shape[:2]
        if height % settings.patch or width % settings.patch:
            raise ValueError(
                f"patch must divide the frames' height and width, {height} and {width}; got {settings.patch}."
            )

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The squared error of hidden patches, and that of prediction."""
        times = self.times(seen, generator)
        pixels = _at(seen.pixels, times)
        hidden = self.hidden(pixels, generator)
        colour = ssl.gather(pixels.float().mean((2, 3))).mean(0)[:, None, None].round().to(torch.uint8)
        masked = torch.where(hidden, colour, pixels)
        with model.precision(), batch_statistics(model.encoder, momentum=0.0):
            states = model.encoder.moving(model.encoder.features(masked))
        scene = None if seen.scene is None else seen.scene.repeat_interleave(times.shape[1], 0)
        error = (self.draw(model, states, scene) - self.target(seen, times)).square()
        shown = hidden.to(error.dtype)
        found = (error * shown).sum() / (shown.sum() * self.colours)
        return {"masked": found, "prediction": _prediction(seen)}

    def hidden(self, pixels: Tensor, generator: torch.Generator) -> Tensor:
        """Which pixels of frames `[N, C, H, W]` are hidden: bool `[N, 1, H, W]`, as many in each."""
        patch = self.settings.patch
        rows, columns = pixels.shape[-2] // patch, pixels.shape[-1] // patch
        count = max(1, min(rows * columns - 1, round(self.settings.hidden * rows * columns)))
        rank = rand_rows(len(pixels), rows * columns, generator=generator).argsort(1).argsort(1)
        mask = (rank < count).unflatten(1, (1, rows, columns)).to(pixels.device)
        return mask.repeat_interleave(patch, 2).repeat_interleave(patch, 3)


def _prediction(seen: Seen) -> Tensor:
    """The predictor's relative error, of states that it does not change."""
    imagined, observed = (ssl.gather(states[:, 1:]) for states in (seen.imagined, seen.observed.detach()))
    return ssl.relative_prediction_loss(imagined, observed, around_window_mean=seen.around_window_mean)


def _at(values: Tensor, times: Tensor) -> Tensor:
    """Of values `[B, T+1, ...]` those at `times` `[B, n]`, flat `[B * n, ...]`."""
    rows = torch.arange(len(values), device=values.device)[:, None]
    return values[rows, times].flatten(0, 1)
