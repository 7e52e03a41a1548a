"""The world of a checkpoint, and how its agent plans."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from telos.cli import console
from telos.errors import TelosError

if TYPE_CHECKING:
    from telos.configurator import Configurator
    from telos.model import Model


def world_of(model: Model, asked: str | None) -> str:
    """The world that is asked for, else the model's; `ValueError` where it has none."""
    name = model.config.world if asked is None else asked
    if not name:
        raise ValueError(
            "--world must be given: this model was trained on recordings, which are of no world that telos "
            "could step. Name one that looks and acts as they do, or plan from a picture: telos plan "
            "--start-image NOW.png --goal-image THEN.png."
        )
    return name


def planning(model: Model, checkpoint: Path, recipe: str | None) -> Configurator:
    """As `recipe` says; else as `checkpoint`, which `model` is from; else as the recipe that it names."""
    from telos import recipes
    from telos.checkpoint import read_checkpoint_config

    if recipe is not None:
        return recipes.get(recipe).configurator
    told = read_checkpoint_config(checkpoint)
    made_by = told.get("provenance", {}).get("recipe", {}).get("name")
    if told.get("configurator") or not made_by:
        return model.configurator
    try:
        return recipes.get(made_by).configurator
    except TelosError as error:  # a recipe of the user's own
        console.say(
            f"Planned as by default: {checkpoint} does not tell how, and the recipe that it was trained with "
            f"is not found here ({error}) Give --recipe to plan as it says."
        )
        return model.configurator
