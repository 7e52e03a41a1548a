"""A small predictor with random weights, in double precision, and noise to feed it."""

import torch

from telos.world_model import GlimpsePredictor


def noise(*shape, seed=1):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def new_predictor(*, trained=True, scene_channels=2, size=4, **sizes):
    """Two keypoints of one frame and two actions; where `trained`, its last layers are not zero."""
    predictor = GlimpsePredictor(
        size=size,
        action_scale=torch.tensor([2.0, 0.5]),
        keypoints=2,
        scene_channels=scene_channels,
        hidden=16,
        **sizes,
    ).double()
    for number, value in enumerate(predictor.parameters()):
        if trained:
            value.data = 0.3 * noise(*value.shape, seed=number)
    return predictor.eval()
