"""A world model on a pretrained network: only what is not frozen trains, the loss falls, and it plans."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("transformers")

import torch

import telos
from telos import recipes
from telos.actor import Evolution
from telos.configurator import Configurator
from telos.model import Model
from telos.perception import from_pretrained
from telos.training import Heads, Optimisation, Prediction, Sketched
from telos.types import Budget, Configuration
from telos.world_model import Glimpse, History
from tests.perception import networks

HISTORY = History(depth=2, heads=2, head_size=8, hidden=32, projection=32, dropout=0.0)


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    return networks.save("dinov2", tmp_path_factory.mktemp("dinov2"))


def new_recipe(perception, predictor, steps=60, **changes):
    smoke = recipes.get("smoke")
    stage = Optimisation(steps=steps, batch=16, learning_rate=3e-3, warmup=5)
    parts = replace(smoke.architecture, perception=perception, predictor=predictor, recovered="none")
    return replace(
        smoke,
        architecture=parts,
        representation=None,
        prediction=Prediction(stage, horizon=2, noise=0.0),
        heads=Heads(labels=30, readout_steps=3, decoder=Optimisation(steps=2, batch=5)),
        **changes,
    )


def losses(folder, stage):
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if row["stage"] == stage]


@pytest.mark.parametrize("case", ["class and glimpse", "patches and history"])
def test_predictors_learn_on_a_frozen_network(dinov2, store, tmp_path, case):
    perception, predictor = {
        "class and glimpse": (from_pretrained(dinov2, pooled="class"), Glimpse(hidden=32, layers=2)),
        "patches and history": (from_pretrained(dinov2, pooled="patches"), replace(HISTORY, tokens=16)),
    }[case]
    model = telos.train(store, new_recipe(perception, predictor), tmp_path)
    curve = losses(tmp_path, "prediction")
    assert curve[-1] < 0.9 * curve[0]
    given = networks.network("dinov2").state_dict()
    assert all(torch.equal(value, given[name]) for name, value in model.encoder.network.state_dict().items())


def test_a_head_is_learned_with_the_predictor(dinov2, store, tmp_path):
    """The head and the predictor, by LeWM's two terms; the network behind the head stays as it is."""
    stage = Optimisation(steps=60, batch=16, learning_rate=3e-3, warmup=5)
    recipe = new_recipe(from_pretrained(dinov2, pooled="patches", size=2), HISTORY)
    recipe = replace(recipe, representation=Sketched(stage, slices=32), prediction=None)
    model = telos.train(store, recipe, tmp_path)
    curve = losses(tmp_path, "representation")
    assert curve[-1] < 0.9 * curve[0]
    given = networks.network("dinov2").state_dict()
    assert all(torch.equal(value, given[name]) for name, value in model.encoder.network.state_dict().items())


def test_fine_tuning_changes_the_network(dinov2, store, tmp_path):
    stage = Optimisation(steps=2, batch=4, learning_rate=3e-3, warmup=1)
    recipe = new_recipe(from_pretrained(dinov2, size=4, frozen=False), HISTORY)
    recipe = replace(recipe, representation=Sketched(stage, slices=8), prediction=None)
    model = telos.train(store, recipe, tmp_path)
    given = networks.network("dinov2").state_dict()
    changed = model.encoder.network.state_dict()
    assert not torch.equal(changed["layernorm.weight"], given["layernorm.weight"])


def test_an_agent_plans_with_it_after_loading(dinov2, store, tmp_path):
    perception = from_pretrained(dinov2, pooled="patches")
    telos.train(store, new_recipe(perception, replace(HISTORY, tokens=16), steps=2), tmp_path)
    plan = Configuration(Evolution(candidates=8), horizon=3, budget=Budget(2), replan_every=4)
    agent = telos.Agent(
        Model.load(tmp_path / "model"), configurator=Configurator(explore=plan, track=plan, settle=plan)
    )
    world = telos.make("telos/TwoRooms-v0", 2)
    frames = world.reset([0, 1], split="heldout", task=True)
    agent.reach(world.goal_frames())
    assert world.step(agent.act(frames)).shape == frames.shape
    assert agent.usage.plans == 2
    world.close()


def test_a_video_network_sees_the_models_frames(store, tmp_path):
    perception = from_pretrained(networks.save("vjepa2", tmp_path), pooled="mean")
    recipe = new_recipe(perception, replace(HISTORY, length=2), steps=2)
    recipe = replace(recipe, architecture=replace(recipe.architecture, frames=2))
    model = telos.train(store, recipe, tmp_path / "run")
    assert model.config.state_size == 24  # of the clip: no changes between frames
    with pytest.raises(
        ValueError, match=r"at most the length of the history, 1; got 2. Give History\(length=2"
    ):
        telos.train(
            store,
            replace(recipe, architecture=replace(recipe.architecture, predictor=replace(HISTORY, length=1))),
            tmp_path / "other",
        )


def test_a_head_cannot_be_learned_by_windows_that_a_history_predicts(dinov2, store, tmp_path):
    perception = from_pretrained(dinov2, size=4)
    recipe = replace(new_recipe(perception, HISTORY), representation=recipes.get("smoke").representation)
    with pytest.raises(ValueError, match=r"a predictor that does not look back; got History.*Give Sketched"):
        telos.train(store, recipe, tmp_path)


def test_the_recipe_on_a_pretrained_network_is_told_which_by_name(dinov2, store, tmp_path):
    recipe = recipes.get("dino-wm", encoder=str(dinov2))
    perception = recipe.architecture.perception
    assert (perception.pixels.resolution, perception.tokens) == (28, 16)
    assert recipe.architecture.predictor.tokens == 16
    short = replace(
        recipe,
        prediction=replace(recipe.prediction, optimisation=Optimisation(steps=2, batch=4)),
        heads=Heads(labels=30, readout_steps=3, decoder=Optimisation(steps=2, batch=5)),
    )
    model = telos.train(store, short, tmp_path)
    assert model.config.state_size == 16 * 24
    last = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert (last["stage"], last["step"]) == ("prediction", 2)
    assert last["rank"] > 1
    assert last["within_episode_variance"] > 0.01


def test_the_recipe_on_dinov2_needs_no_network_before_it_trains():
    perception = recipes.get("dino-wm").architecture.perception
    assert perception.source == "facebook/dinov2-small"
    assert perception.pose_size == 16 * 384
    bare = replace(perception, source="").build(channels=3, image_size=(64, 64), frames=1)
    assert 21e6 < sum(value.numel() for value in bare.network.parameters()) < 23e6
    assert len(bare.blocks()) == 12


@pytest.mark.parametrize("settings", [{"size": 4}, {"frozen": False}])
def test_what_is_to_be_trained_needs_a_stage(dinov2, store, tmp_path, settings):
    with pytest.raises(ValueError, match=r"representation must be given .*got None"):
        telos.train(store, new_recipe(from_pretrained(dinov2, **settings), HISTORY), tmp_path)
