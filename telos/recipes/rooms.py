"""Recipes for the dot world: two rooms, or four, with walls and doors drawn anew each episode."""

from __future__ import annotations

from dataclasses import replace

from telos.actor import Evolution, Relay, Tree
from telos.configurator import Configurator
from telos.training.config import Collection, Optimisation, Prediction, Recipe
from telos.types import Budget, Configuration


def rooms() -> Recipe:
    """TwoRooms within the demo's time: about ten minutes on two cores."""
    return Recipe(name="rooms", world="telos/TwoRooms-v0", configurator=_configurator())


def _configurator() -> Configurator:
    """Plans of 24 blocks, 96 steps. The first, and one where nothing progresses, searches by a tree."""
    far = Relay(((32, Tree(candidates=128)), (6, Evolution(candidates=64))))
    return Configurator(
        explore=Configuration(far, horizon=24, budget=Budget(38), replan_every=4),
        track=Configuration(Evolution(candidates=64), horizon=24, budget=Budget(2), replan_every=4),
        settle=Configuration(Evolution(candidates=32), horizon=3, budget=Budget(1), replan_every=4),
        near=0.02,
        arrived=0.005,
        patience=16,
    )


def rooms_long() -> Recipe:
    """TwoRooms with an hour to train."""
    short = rooms()
    assert short.representation is not None
    return replace(
        short,
        name="rooms-long",
        collection=Collection(episodes=4096),
        representation=replace(
            short.representation, optimisation=replace(short.representation.optimisation, steps=3000)
        ),
        prediction=Prediction(
            optimisation=Optimisation(steps=12000, batch=256, learning_rate=1e-3, clip=4.0)
        ),
    )


def rooms_discrete() -> Recipe:
    """TwoRooms where the dot stays or moves by one step in one of eight directions."""
    return replace(rooms(), name="rooms-discrete", world="telos/TwoRoomsDiscrete-v0")
