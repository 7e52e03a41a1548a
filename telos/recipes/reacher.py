"""The recipe for Gymnasium's Reacher-v5 from pixels."""

from __future__ import annotations

from telos.actor import Evolution
from telos.configurator import Configurator
from telos.training.config import (
    Architecture,
    Collection,
    Optimisation,
    Prediction,
    Recipe,
    Representation,
    Weights,
)
from telos.types import Budget, Configuration


def reacher() -> Recipe:
    """Reacher-v5: a two-joint arm, torques, goals that are pictures of poses; under an hour on two cores."""
    return Recipe(
        name="reacher",
        world="Reacher-v5",
        # Torques near their bounds spin the arm at many turns a second; tasks need a tenth of that.
        collection=Collection(episodes=2048, length=50, hold=(2, 24), pause=0.95, full=0.0, drift=0.1),
        architecture=Architecture(
            block=2, frames=2, keypoints=2, spread=True, scene_channels=0, predictor_hidden=256
        ),
        representation=Representation(
            optimisation=Optimisation(steps=1200, batch=48, learning_rate=2e-3),
            horizon=4,
            weights=Weights(inverse=0.5, deviation=0.4, around_window_mean=False),
        ),
        prediction=Prediction(
            optimisation=Optimisation(steps=4000, batch=256, learning_rate=1e-3, clip=4.0),
            horizon=10,
            noise=0.01,
        ),
        configurator=_configurator(),
    )


def _configurator() -> Configurator:
    """Ten blocks of two steps ahead, planned anew after each; the arm never rests, so near is no case."""
    explore = Configuration(Evolution(candidates=256), horizon=10, budget=Budget(3), replan_every=2)
    track = Configuration(Evolution(candidates=64), horizon=10, budget=Budget(2), replan_every=2)
    return Configurator(explore=explore, track=track, settle=track, near=0.0, arrived=0.0, patience=50)
