"""The reactive policy: distilled from plans, and kept in the checkpoint."""

from dataclasses import replace

import pytest
import torch

from telos.actor import Evolution, Reflex
from telos.agent import Agent
from telos.model import Model
from telos.training import Distillation, Optimisation, fit_reflex, train
from telos.training.train import _new_model, model_config
from telos.types import Budget, Configuration
from telos.worlds import make

PLAN = Configuration(Evolution(candidates=16), horizon=4, budget=Budget(2), replan_every=4)


def settings(steps=3, plans=24):
    return Distillation(plans=plans, together=16, optimisation=Optimisation(steps=steps, batch=8, clip=1.0))


@pytest.fixture
def model(store, recipe):
    """A model in which every keypoint moves by the action."""
    model = _new_model(model_config(store, recipe), store, recipe, 0)
    with torch.no_grad():
        for coordinate in range(4):
            model.predictor.linear.weight[coordinate, 4 + coordinate % 2] = 0.1
    return model.eval()


def test_nothing_else_of_the_model_changes_and_the_same_seed_gives_the_same_policy(store, model):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_reflex(model, store, PLAN, settings())
    first = {name: value.clone() for name, value in model.reflex.state_dict().items()}
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    fit_reflex(model, store, PLAN, settings())
    assert all(torch.equal(model.reflex.state_dict()[name], value) for name, value in first.items())


def test_it_learns_what_the_planner_does(store, model):
    losses = []

    def progress(stage, done, total, **values):
        losses.extend(values.values())

    fit_reflex(model, store, PLAN, settings(steps=60), progress=progress)
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])


def test_training_with_a_reflex_gives_a_checkpoint_whose_agent_acts_without_search(store, recipe, tmp_path):
    few = replace(recipe.configurator, explore=PLAN)
    trained = train(store, replace(recipe, configurator=few), tmp_path)
    assert trained.reflex is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("telos.training.distillation.Distillation", settings)
        train(store, replace(recipe, configurator=few), tmp_path, reflex=True)
    taught = Model.load(tmp_path / "model").reflex
    assert taught is not None
    again = train(store, recipe, tmp_path).reflex  # as a finished run is to fit its readouts anew
    assert again is not None
    assert all(torch.equal(again.state_dict()[key], value) for key, value in taught.state_dict().items())
    agent = Agent(
        Model.load(tmp_path / "model"),
        configurator=lambda situation: replace(PLAN, planner=Reflex(), budget=Budget(1)),
    )
    world = make("telos/TwoRooms-v0", 2)
    frames = world.reset([0, 1], split="heldout", task=True)
    agent.reach(world.goal_frames())
    assert agent.act(frames).shape == (2, 2)
    assert agent.usage.evaluations == 3 * PLAN.horizon
    agent.reach_reading("agent_xy", [30, 30])
    with pytest.raises(ValueError, match="one goal state"):
        agent.act(frames)
