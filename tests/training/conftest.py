"""A tiny store of the dot world, and the smallest recipe, for the tests of training."""

from dataclasses import replace

import pytest

from telos import recipes
from telos.data import collect
from telos.training import Heads, Optimisation
from telos.worlds import make

STEPS = 22  # the metrics are written after steps 20 and 22


@pytest.fixture(scope="session")
def store(tmp_path_factory):
    """Twelve episodes of twenty steps; one layout is held out."""
    world = make("telos/TwoRooms-v0", 4)
    made = collect(world, tmp_path_factory.mktemp("data") / "store", episodes=12, length=20, seed=0)
    world.close()
    return made


@pytest.fixture(scope="session")
def recipe():
    """The smoke recipe with 22 steps per stage, so that a stage has more than one line of metrics."""
    smoke = recipes.get("smoke")
    few = Optimisation(steps=STEPS, batch=4, warmup=2)
    return replace(
        smoke,
        representation=replace(smoke.representation, optimisation=few),
        prediction=replace(smoke.prediction, optimisation=few),
        heads=Heads(labels=30, readout_steps=3, decoder=few),
    )
