"""The recipe for Orbits: a world that is watched, in which nobody acts."""

from __future__ import annotations

from telos.perception import Tracks
from telos.training.config import (
    Architecture,
    Collection,
    Heads,
    Optimisation,
    Prediction,
    Recipe,
    Representation,
    Weights,
)
from telos.training.methods import VarianceCovariance
from telos.world_model import Leap


def orbits() -> Recipe:
    """telos/Orbits-v0: six numbers from noisy video alone, in minutes. No tasks, no planning."""
    return Recipe(
        name="orbits",
        world="telos/Orbits-v0",
        collection=Collection(episodes=400, length=200),
        architecture=Architecture(
            block=4,
            # Two frames, a sixth of a turn or less apart: where things are, and how fast they go.
            frames=2,
            spacing=8,
            perception=Tracks(features=8, places=8, views=2, width=32, patch=8),
            predictor=Leap(hidden=128),
            recovered="none",
            ensemble=1,
        ),
        representation=Representation(
            optimisation=Optimisation(steps=600, batch=18, learning_rate=5e-3, warmup=50, clip=10.0),
            # First one block ahead: nothing can be predicted far ahead until something can be at all. Then
            # two, and eight, which take a precise velocity.
            horizon=12,
            ahead=(1, 2, 8),
            method=VarianceCovariance(covariance=1.0, deviation=0.5),
            weights=Weights(inverse=0.0, temporal=0.0),
        ),
        prediction=Prediction(
            # As far as is asked of it. Of 1,200 videos, told 80 steps it was 0.83 radii off after 100, told
            # 100 it was 0.75.
            optimisation=Optimisation(steps=1500, batch=128, learning_rate=2e-3, clip=4.0),
            horizon=25,
            noise=0.0,
        ),
        heads=Heads(decoder=Optimisation(steps=300, batch=64, learning_rate=2e-3, clip=1.0)),
    )
