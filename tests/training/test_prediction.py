"""The second stage: predictors alone, on cached states, from what they imagined themselves."""

from dataclasses import replace

import pytest
import torch

from telos.perception import Residual
from telos.progress import silent
from telos.training import model_config
from telos.training.latents import Latents
from telos.training.stages import prediction_step
from telos.training.train import _new_model
from telos.world_model import Recurrent


@pytest.fixture
def model(store, recipe, single_precision):
    made = _new_model(model_config(store, recipe), store, recipe, 0)
    torch.manual_seed(0)
    for value in made.predictors.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return made


def step_loss(model, store, settings):
    step = prediction_step(model, store, settings, silent)
    return step(torch.Generator().manual_seed(3), 0)[0]


def test_without_noise_the_loss_is_that_of_a_slow_loop(model, store, recipe):
    settings = replace(recipe.prediction, noise=0.0)
    latents = Latents(model, store, settings.horizon * 4, silent)
    states, actions, scene = latents.sample(4, torch.Generator().manual_seed(3))
    now, errors = states[:, :1], []
    for time in range(settings.horizon * 4):
        now = model.predictor.step(now, actions[:, time : time + 1], scene)
        errors.append((now - states[:, time + 1 : time + 2]).abs().mean())
    expected = torch.stack(errors).mean()
    assert torch.allclose(step_loss(model, store, settings), expected, rtol=1e-5)


def test_a_recurrent_predictor_is_trained_block_by_block(store, recipe, single_precision):
    parts = replace(recipe.architecture, perception=Residual(6, (4,), 1), predictor=Recurrent())
    recurrent = replace(recipe, architecture=parts)
    model = _new_model(model_config(store, recurrent), store, recurrent, 0)
    settings = replace(recipe.prediction, noise=0.0)
    latents = Latents(model, store, settings.horizon * 4, silent)
    states, actions, _ = latents.sample(4, torch.Generator().manual_seed(3))
    imagined = model.predictor.imagine(
        states[:, None, 0], actions.unflatten(1, (-1, 4)).flatten(2)[:, None], None
    )
    expected = (imagined[:, 0, 1:] - states[:, 4::4]).abs().mean()
    assert torch.allclose(step_loss(model, store, settings), expected, rtol=1e-5)


def test_noise_disturbs_what_is_predicted_from_in_units_of_its_deviation(model, store, recipe):
    deviation = Latents(model, store, recipe.prediction.horizon * 4, silent).moving.std(0).mean()
    assert deviation < 0.1  # of an untrained encoder
    quiet, small, large = (
        step_loss(model, store, replace(recipe.prediction, noise=noise)) for noise in (0.0, 0.5, 50.0)
    )
    assert torch.allclose(quiet, small, rtol=1e-2)
    assert not torch.allclose(quiet, large, rtol=1e-2)


def test_it_trains_every_predictor_and_nothing_else(model, store, recipe):
    step_loss(model, store, recipe.prediction).backward()
    trained = {name for name, value in model.named_parameters() if value.grad is not None}
    assert trained == {name for name, _ in model.named_parameters() if name.startswith("predictors.")}
