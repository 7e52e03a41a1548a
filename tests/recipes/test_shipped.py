"""The checkpoint that ships with the package is one that this version reads, of the recipe's architecture."""

from importlib.resources import as_file, files

from telos import recipes
from telos.model import Model


def test_the_checkpoint_that_ships_is_of_the_recipe_rooms():
    with as_file(files("telos") / "assets" / "rooms") as folder:
        model = Model.load(folder)
    recipe = recipes.get("rooms")
    sizes = dict(vars(recipe.architecture))
    assert model.config.action_space.block == sizes.pop("block")
    assert model.config.action_space.held == sizes.pop("held")
    assert {name: getattr(model.config, name) for name in sizes} == sizes
    assert model.config.world == recipe.world
    assert model.configurator == recipe.configurator
    assert model.decoder is not None
    assert model.readouts["agent_xy"].labels == recipe.heads.labels
