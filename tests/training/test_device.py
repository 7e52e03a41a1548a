"""A step of every stage on another device than the CPU: meta, which has shapes and mixes with no other."""

import contextlib
import importlib

import pytest
import together
import torch

from telos import ssl
from telos.data import EpisodeStore
from telos.model import Model
from telos.progress import silent
from telos.training.distributed import Processes
from telos.training.heads import decoder_step
from telos.training.representation import RepresentationLoss
from telos.training.stages import prediction_step, representation_step

training = importlib.import_module("telos.training.train")  # the package has a function of this name


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch):
    """Meta has none."""
    monkeypatch.setattr(Model, "precision", lambda self: contextlib.nullcontext())
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: contextlib.nullcontext())
    monkeypatch.setattr(torch, "is_autocast_enabled", lambda *_: False)
    monkeypatch.setattr(ssl, "indicators", lambda states: {})


def elsewhere(store, name):
    recipe = together.small(name)
    model = training._new_model(training.model_config(store, recipe), store, recipe, 0)
    return recipe, model, training._learner(model, recipe.representation, 0).to("meta")


@pytest.mark.parametrize("name", ["rooms", "masked", "sketched"])
def test_the_representation_is_learned_where_the_model_is(store, name):
    recipe, model, learner = elsewhere(store, name)
    step = representation_step(learner, model, store, recipe.representation, Processes(), allow_collapse=True)
    loss, _ = step(torch.Generator().manual_seed(0), 0)
    loss.backward()
    assert loss.device.type == "meta"
    assert isinstance(learner, RepresentationLoss) == (name != "sketched")
    trained = [value for value in model.encoder.parameters() if value.grad is not None]
    assert len(trained) > 5


@pytest.mark.parametrize("name", ["rooms", "sketched"])
def test_the_decoder_is_fitted_where_the_model_is(store, name):
    recipe, model, _ = elsewhere(store, name)
    loss, _ = decoder_step(model.eval(), store, recipe.heads.decoder.batch)(
        torch.Generator().manual_seed(0), 0
    )
    loss.backward()
    assert model.decoder.draw.weight.grad.device.type == "meta"


def test_predictors_learn_where_the_model_is(store):
    recipe, model, _ = elsewhere(EpisodeStore.open(store.path), "rooms")
    step = prediction_step(model.eval(), store, recipe.prediction, silent)
    loss, _ = step(torch.Generator().manual_seed(0), 0)
    loss.backward()
    assert {value.grad.device.type for value in model.predictors.parameters()} == {"meta"}
