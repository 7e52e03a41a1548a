"""What an evaluation asks a model for: the states of many frames, and how many labels it has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from telos.cost import Readout
from telos.types import Observation

if TYPE_CHECKING:
    from telos.model import Model

_BATCH = 512


@torch.no_grad()
def encode_all(model: Model, pixels: Tensor) -> Tensor:
    """States `[n, D]` of pixels uint8 `[n, T, C, H, W]`, T being the frames that the model looks at."""
    device = next(model.parameters()).device
    parts = [model.encode(Observation(part.to(device))).float().cpu() for part in pixels.split(_BATCH)]
    return torch.cat(parts)


def still(frames: Tensor, count: int) -> Tensor:
    """Pixels `[n, count, C, H, W]` of frames uint8 `[n, H, W, C]` in which nothing moves."""
    return frames.permute(0, 3, 1, 2)[:, None].expand(-1, count, -1, -1, -1)


def label_counts(model: Model) -> dict[str, int]:
    """How many labelled frames each of the model's readouts was trained on."""
    return {name: head.labels for name, head in model.readouts.items() if isinstance(head, Readout)}
