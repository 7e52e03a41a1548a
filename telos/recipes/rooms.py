"""Recipes for the dot world: two rooms, or four, with walls and doors drawn anew each episode."""

from __future__ import annotations

from dataclasses import replace

from telos.training.config import Collection, Optimisation, Prediction, Recipe


def rooms() -> Recipe:
    """TwoRooms within the demo's time: about ten minutes on two cores."""
    return Recipe(name="rooms", world="telos/TwoRooms-v0")


def rooms_long() -> Recipe:
    """TwoRooms with an hour to train."""
    short = rooms()
    return replace(
        short,
        name="rooms-long",
        collection=Collection(episodes=4096),
        representation=replace(
            short.representation, optimisation=replace(short.representation.optimisation, steps=6000)
        ),
        prediction=Prediction(
            optimisation=Optimisation(steps=6000, batch=512, learning_rate=1e-3, clip=1.0), horizon=12
        ),
    )
