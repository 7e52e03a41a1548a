"""What a checkpoint knows of how it was made, and how its agent plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from telos.cli import console
from telos.errors import TelosError

if TYPE_CHECKING:
    from telos.configurator import Configurator


def planning(model: Path, recipe: str | None) -> Configurator:
    """How to plan: as `recipe` says, or the one that the checkpoint `model` was trained with."""
    from telos import recipes
    from telos.checkpoint import read_checkpoint_config
    from telos.configurator import Configurator

    if recipe is not None:
        return recipes.get(recipe).configurator
    made_by = read_checkpoint_config(model).get("provenance", {}).get("recipe", {}).get("name")
    if not made_by:
        return Configurator()
    try:
        return recipes.get(made_by).configurator
    except TelosError as error:  # a recipe of the user's own
        console.say(
            f"Planned as by default: the recipe that {model} was trained with is not found here ({error}) "
            "Give --recipe to plan as it says."
        )
        return Configurator()
