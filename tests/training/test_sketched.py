"""The stage of LeWM: its energy, and that a recipe of it trains to a model that plans."""

from dataclasses import replace

import pytest
import torch

import telos
from telos import recipes, ssl
from telos.model import Model, ModelConfig
from telos.perception import Patches
from telos.training import Heads, Optimisation, Sketched
from telos.training.sketched import sketched_loss
from telos.types import ActionSpace
from telos.world_model import History

pytestmark = pytest.mark.usefixtures("single_precision")
PERCEPTION = Patches(8, resolution=16, grid=4, patch=4, width=12, depth=1, heads=2, projection=10)
PREDICTOR = History(depth=1, heads=2, head_size=4, hidden=16, projection=10, dropout=0.0)


def new_model(**changes):
    torch.manual_seed(0)
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0), block=2, held=False)
    config = ModelConfig(
        "test", (16, 16, 3), space, perception=PERCEPTION, predictor=PREDICTOR, recovered="none"
    )
    return Model(replace(config, **changes)).eval()


def batch():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (4, 4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(4, 3, 4, generator=generator)


def test_the_energy_is_squared_prediction_error_and_sigreg():
    model, (pixels, actions) = new_model(), batch()
    settings = Sketched(sigreg=0.5, slices=16)
    loss, terms, states = sketched_loss(model, pixels, actions, settings, torch.Generator().manual_seed(2))
    each = torch.stack([model.encoder(pixels[:, time])[0] for time in range(4)], 1)
    torch.testing.assert_close(states, each)
    predicted = torch.stack(
        [model.predictor(each[:, : n + 1], actions[:, : n + 1])[:, -1] for n in range(3)], 1
    )
    torch.testing.assert_close(terms["prediction"], (predicted - each[:, 1:]).square().mean())
    apart = [ssl.sigreg(each[:, n], torch.Generator().manual_seed(2), slices=16) for n in range(4)]
    torch.testing.assert_close(terms["sigreg"], torch.stack(apart).mean())
    torch.testing.assert_close(loss, terms["prediction"] + 0.5 * terms["sigreg"])


def test_a_predictor_without_history_is_refused():
    from telos.world_model import Glimpse

    with pytest.raises(ValueError, match=r"History\(length=3\)"):
        sketched_loss(new_model(predictor=Glimpse()), *batch(), Sketched(), torch.Generator())


def test_a_recipe_of_it_trains_to_a_model_that_plans(tmp_path):
    smoke, small = recipes.get("smoke"), recipes.get("lewm-short")
    recipe = replace(
        small,
        architecture=replace(small.architecture, perception=PERCEPTION, predictor=PREDICTOR),
        representation=Sketched(optimisation=Optimisation(steps=4, batch=8), slices=8),
        heads=Heads(labels=32, readout_steps=2, decoder=Optimisation(steps=2, batch=5)),
        configurator=smoke.configurator,
    )
    store = telos.collect(
        telos.make("telos/TwoRooms-v0", 4), tmp_path / "data", episodes=8, length=30, seed=0
    )
    model = telos.train(store, recipe, tmp_path / "run")
    found = telos.evaluate(model, recipe.world, tasks=1, configurator=recipe.configurator, floors=False)
    assert found.planning.plans > 0
    assert torch.equal(Model.load(tmp_path / "run" / "model").predictor.places, model.predictor.places)
