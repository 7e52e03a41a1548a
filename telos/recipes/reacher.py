"""The recipe for Gymnasium's Reacher-v5 from pixels."""

from __future__ import annotations

from telos.training.config import Architecture, Collection, Optimisation, Prediction, Recipe, Representation


def reacher() -> Recipe:
    """Reacher-v5: a two-joint arm, torques, goals that are pictures of poses; under an hour on two cores."""
    return Recipe(
        name="reacher",
        world="Reacher-v5",
        collection=Collection(episodes=2048, length=50, hold=(1, 12), pause=0.3, full=0.3, drift=0.1),
        architecture=Architecture(block=2, frames=2, state_size=64, slow_size=0),
        representation=Representation(
            optimisation=Optimisation(steps=2400, batch=64, learning_rate=2e-3), horizon=6
        ),
        prediction=Prediction(
            optimisation=Optimisation(steps=2000, batch=256, learning_rate=1e-3, clip=4.0), horizon=10
        ),
    )
