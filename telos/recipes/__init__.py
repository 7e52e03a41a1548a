"""Recipes: functions that return a complete, typed configuration for one world."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from telos.errors import TelosError, UnknownName
from telos.imports import imported
from telos.recipes.lewm import lewm, lewm_short
from telos.recipes.orbits import orbits
from telos.recipes.pretrained import dino_wm
from telos.recipes.reacher import reacher
from telos.recipes.rooms import rooms, rooms_discrete, rooms_long
from telos.recipes.smoke import smoke
from telos.training.config import Recipe

RECIPES: dict[str, Callable[..., Recipe]] = {
    "dino-wm": dino_wm,
    "lewm": lewm,
    "lewm-short": lewm_short,
    "orbits": orbits,
    "reacher": reacher,
    "rooms": rooms,
    "rooms-discrete": rooms_discrete,
    "rooms-long": rooms_long,
    "smoke": smoke,
}


def get(name: str, *, encoder: str | Path | None = None) -> Recipe:
    """The recipe of this name, or the one that `package.module:function` of one's own gives.

    Args:
        encoder: the pretrained network of a recipe that has one: a folder, or a name on the hub.

    Raises:
        UnknownName: there is none; the message lists the near ones.
        TelosError: the module cannot be imported, or the function gives no recipe.
        ValueError: the recipe has no pretrained network to choose.
    """
    if name not in RECIPES and ":" not in name:
        raise UnknownName("recipe", name, RECIPES)
    make = RECIPES[name] if name in RECIPES else _imported(name)
    if encoder is None:
        found = make()
    elif "encoder" in inspect.signature(make).parameters:
        found = make(encoder=encoder)
    else:
        raise ValueError(
            f"encoder must be left out: the recipe {name!r} learns its own; got {str(encoder)!r}. The recipe "
            "'dino-wm' has a pretrained one."
        )
    if not isinstance(found, Recipe):
        raise TelosError(f"{name} must give a telos.recipes.Recipe; got {type(found).__name__}.")
    return found if name in RECIPES else replace(found, name=name)


def _imported(name: str) -> Callable[..., Any]:
    module, attribute = imported(name, "the recipe ")
    found = vars(module).get(attribute)
    if not callable(found):
        known = [
            key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__
        ]
        raise UnknownName(f"recipe in {module.__name__}", attribute, known)
    return found


__all__ = [
    "RECIPES",
    "Recipe",
    "dino_wm",
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
