"""LeWM: the world model of arXiv 2603.19312 on TwoRooms, with its shape, its two losses and its budget."""

from __future__ import annotations

from dataclasses import replace

from telos.actor import CEM, LBFGS, Gradient, Relay
from telos.configurator import Configurator
from telos.perception import Patches
from telos.training.config import Architecture, Collection, Optimisation, Recipe, Sketched
from telos.types import Budget, Configuration
from telos.world_model import History


def lewm() -> Recipe:
    """18 million parameters, frames of 224 px, one layout: as published, for a GPU. `lewm-short` is smaller.

    In TwoRooms-v0, where walls differ between episodes, SIGReg alone tells layouts apart and leaves the
    dot out: after 100 short steps 0.3 % of the variance was within episodes.
    """
    return Recipe(
        name="lewm",
        world="telos/TwoRoomsFixed-v0",
        collection=Collection(episodes=10_000, length=96),
        architecture=Architecture(
            block=5,
            held=False,
            perception=Patches(),
            predictor=History(),
            recovered="none",
            ensemble=1,
        ),
        representation=Sketched(),
        prediction=None,
        configurator=_configurator(),
    )


def lewm_short() -> Recipe:
    """The same model on frames of 56 px, sixteen patches, in a quarter of an hour on one core."""
    full = lewm()
    return replace(
        full,
        name="lewm-short",
        collection=Collection(),
        architecture=replace(full.architecture, perception=Patches(resolution=56)),
        representation=Sketched(
            optimisation=Optimisation(
                steps=600, batch=32, learning_rate=5e-4, weight_decay=1e-3, decay_from=0.5, clip=1.0
            ),
            slices=256,
        ),
    )


def _configurator() -> Configurator:
    """Five blocks of five steps ahead, all executed, as LeWM's protocol has it.

    A smooth energy of fifty free actions: a few rounds of samples, and descent from the best four.
    """
    planner = Relay(((5, CEM(candidates=32, elites=6)), (20, Gradient(starts=4, stepper=LBFGS()))))
    plan = Configuration(planner, horizon=5, budget=Budget(25), replan_every=25)
    return Configurator(explore=plan, track=plan, settle=plan)
