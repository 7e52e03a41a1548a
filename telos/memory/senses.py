"""What is sensed, checked and copied before it is remembered."""

from __future__ import annotations

import numpy as np
import torch

from telos.types import Observation


def sensed(
    observation: Observation | np.ndarray, frame_shape: tuple[int, int, int], device: torch.device
) -> Observation:
    """An observation of frames `[H, W, C]` as a model knows them, on its device, as a copy of one's own.

    Raises:
        ValueError: frames have another shape or dtype, or proprioception is not finite.
    """
    if isinstance(observation, np.ndarray):
        observation = Observation.from_frames(np.array(observation))
    pixels, proprioception = observation.pixels, observation.proprioception
    if proprioception is not None and not proprioception.isfinite().all():
        raise ValueError("proprioception must be finite; got NaN or infinity.")
    H, W, C = frame_shape
    if pixels is not None and pixels.shape[2:] != (C, H, W):
        found = [pixels.shape[3], pixels.shape[4], pixels.shape[2]]
        raise ValueError(
            f"frames must have [H, W, C] = {[H, W, C]}, as the model was trained on; got {found}."
        )
    return Observation(
        None if pixels is None else pixels.to(device, copy=True),
        None if proprioception is None else proprioception.to(device, copy=True),
    )
