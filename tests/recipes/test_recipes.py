"""Every recipe by its name, and what goes for all of them."""

import pytest

from telos import recipes
from telos.errors import UnknownName
from telos.worlds import make


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_recipe_has_the_name_it_is_found_by(name):
    assert recipes.get(name).name == name
    assert recipes.get(name) == recipes.get(name)


def test_an_unknown_recipe_lists_the_near_names():
    with pytest.raises(UnknownName, match=r"no recipe called 'room'. Did you mean rooms"):
        recipes.get("room")


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_collected_episodes_are_long_enough_for_every_stage(name):
    recipe = recipes.get(name)
    predicted = 0 if recipe.prediction is None else recipe.prediction.horizon
    horizon = max(recipe.representation.horizon, predicted, 4)  # the decoder's windows: 4
    shortest = horizon * recipe.architecture.block + recipe.architecture.frames
    assert recipe.collection.length + 1 >= shortest


@pytest.mark.parametrize("name", ["rooms", "rooms-discrete", "rooms-long", "smoke"])
def test_the_world_of_a_recipe_has_frames_that_the_encoder_takes(name):
    world = make(recipes.get(name).world)
    assert world.frame_shape[0] % 4 == world.frame_shape[1] % 4 == 0
    world.close()
