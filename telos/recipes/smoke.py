"""A recipe that only shows that every part works, in seconds: for tests and for first steps."""

from __future__ import annotations

from telos.actor import Evolution
from telos.configurator import Configurator
from telos.training.config import (
    Architecture,
    Collection,
    Heads,
    Optimisation,
    Prediction,
    Recipe,
    Representation,
)
from telos.types import Budget, Configuration
from telos.world_model import Glimpse


def smoke() -> Recipe:
    """Far too little of everything; the agent it makes does not reach its goals."""
    few = Optimisation(steps=10, batch=8, warmup=2)
    return Recipe(
        name="smoke",
        world="telos/TwoRooms-v0",
        collection=Collection(episodes=16, length=40),
        architecture=Architecture(predictor=Glimpse(points=3, hidden=32, layers=2), ensemble=1),
        representation=Representation(optimisation=few, horizon=3),
        prediction=Prediction(optimisation=few, horizon=4),
        configurator=_configurator(),
        heads=Heads(labels=64, readout_steps=50, decoder=few),
    )


def _configurator() -> Configurator:
    few = Configuration(Evolution(candidates=8), horizon=4, budget=Budget(1), replan_every=4)
    return Configurator(explore=few, track=few, settle=few)
