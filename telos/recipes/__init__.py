"""Recipes: functions that return a complete, typed configuration for one world."""

from __future__ import annotations

from collections.abc import Callable

from telos.errors import UnknownName
from telos.recipes.lewm import lewm, lewm_short
from telos.recipes.orbits import orbits
from telos.recipes.reacher import reacher
from telos.recipes.rooms import rooms, rooms_discrete, rooms_long
from telos.recipes.smoke import smoke
from telos.training.config import Recipe

RECIPES: dict[str, Callable[[], Recipe]] = {
    "lewm": lewm,
    "lewm-short": lewm_short,
    "orbits": orbits,
    "reacher": reacher,
    "rooms": rooms,
    "rooms-discrete": rooms_discrete,
    "rooms-long": rooms_long,
    "smoke": smoke,
}


def get(name: str) -> Recipe:
    """The recipe of this name. `UnknownName` lists the near ones."""
    if name not in RECIPES:
        raise UnknownName("recipe", name, RECIPES)
    return RECIPES[name]()


__all__ = [
    "RECIPES",
    "Recipe",
    "get",
    "lewm",
    "lewm_short",
    "orbits",
    "reacher",
    "rooms",
    "rooms_discrete",
    "rooms_long",
    "smoke",
]
