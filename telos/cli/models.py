"""What a checkpoint knows of how it was made, and how its agent plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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
    try:
        return recipes.get(made_by).configurator if made_by else Configurator()
    except TelosError:
        return Configurator()  # trained with a recipe of the user's own, which cannot be found here
