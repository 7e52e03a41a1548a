"""Every recipe by its name, and what goes for all of them."""

import pytest

from telos import recipes
from telos.errors import TelosError, UnknownName
from telos.worlds import make


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_recipe_has_the_name_it_is_found_by(name):
    assert recipes.get(name).name == name
    assert recipes.get(name) == recipes.get(name)


def test_an_unknown_recipe_lists_the_near_names():
    with pytest.raises(UnknownName, match=r"no recipe called 'room'. Did you mean rooms"):
        recipes.get("room")


def test_a_recipe_of_ones_own_is_found_by_its_module(tmp_path, monkeypatch):
    (tmp_path / "lab.py").write_text(
        "from telos import recipes\ndef longer(): return recipes.rooms_long()\ndef none(): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    found = recipes.get("lab:longer")
    assert found.name == "lab:longer"
    assert found.representation == recipes.rooms_long().representation
    with pytest.raises(UnknownName, match=r"recipe in lab called 'long'. Did you mean longer"):
        recipes.get("lab:long")
    with pytest.raises(TelosError, match=r"lab:none must give a telos.recipes.Recipe; got NoneType"):
        recipes.get("lab:none")
    with pytest.raises(TelosError, match="no module labs to import the recipe"):
        recipes.get("labs:longer")


def test_a_recipe_that_learns_its_encoder_has_none_to_choose():
    with pytest.raises(ValueError, match=r"'rooms' learns its own; got 'somewhere'.*'dino-wm'"):
        recipes.get("rooms", encoder="somewhere")


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_collected_episodes_are_long_enough_for_every_stage(name):
    recipe = recipes.get(name)
    stages = [stage for stage in (recipe.representation, recipe.prediction) if stage is not None]
    horizon = max(4, *(stage.horizon for stage in stages))  # the decoder's windows: 4
    shortest = horizon * recipe.architecture.block + recipe.architecture.frames
    assert recipe.collection.length + 1 >= shortest


@pytest.mark.parametrize("name", ["rooms", "rooms-discrete", "rooms-long", "smoke"])
def test_the_world_of_a_recipe_has_frames_that_the_encoder_takes(name):
    world = make(recipes.get(name).world)
    assert world.frame_shape[0] % 4 == world.frame_shape[1] % 4 == 0
    world.close()
