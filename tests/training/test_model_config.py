"""The shapes of a model follow from its data: recordings have no world, and bounds of their own."""

import json
import math
from dataclasses import replace

import pytest

from telos import recipes
from telos.configuration import to_dict
from telos.data import EpisodeStore, Schema
from telos.training import model_config
from telos.types import ActionSpace, Reading

SCHEMA = Schema((64, 64, 3), ActionSpace((-1.0, 0.0), (1.0, 4.0)), {"tip": Reading(1)})


def config(folder, **changed):
    with EpisodeStore.create(folder / "store", replace(SCHEMA, **changed)) as store:
        return model_config(store, recipes.reacher())


@pytest.mark.parametrize("made_by", ["import", "by hand"])
def test_a_model_of_recordings_has_no_world_and_the_bounds_of_its_table(tmp_path, made_by):
    found = config(tmp_path, source={"made_by": made_by})
    assert found.world == ""
    assert (found.action_space.low, found.action_space.high) == ((-1.0, 0.0), (1.0, 4.0))


def test_a_model_of_what_was_collected_plans_within_the_share_that_was_explored(tmp_path):
    found = config(tmp_path, world="my:World", source={"made_by": "collect"})
    assert found.world == "my:World"
    assert found.action_space.low == pytest.approx((-0.1, 1.8))
    assert found.action_space.high == pytest.approx((0.1, 2.2))


def test_a_reading_without_end_can_be_told_in_a_checkpoint(tmp_path):
    readings = {"tip": Reading(1, "m", (-math.inf,), (math.inf,)), "base": Reading(1, "m", (0.0,), (1.0,))}
    found = config(tmp_path, readings=readings)
    assert json.dumps(to_dict(found), allow_nan=False)
    assert found.readings == {"tip": Reading(1, "m"), "base": readings["base"]}
