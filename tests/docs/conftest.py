"""A folder with the run that the pages speak of, and everything in it and on the way to it in a tiny form."""

import dataclasses
import functools

import pytest

import telos.data
import telos.evaluation
import telos.recipes
import telos.worlds
from telos.model import Model, ModelConfig
from telos.perception import Keypoints
from telos.world_model import Glimpse


@pytest.fixture(scope="session")
def tiny_model():
    """An untrained model of TwoRooms, with everything a trained one has."""
    world = telos.worlds.make("telos/TwoRooms-v0")
    config = ModelConfig(
        world=world.id,
        frame_shape=world.frame_shape,
        action_space=dataclasses.replace(world.action_space, block=4),
        perception=Keypoints(width=4),
        predictor=Glimpse(hidden=16),
        readings=dict(world.readings),
    )
    model = Model(config)
    model.add_decoder()
    model.add_readout("agent_xy").record(labels=500, error=1.0)
    return model


@pytest.fixture
def run_folder(tmp_path, monkeypatch, tiny_model):
    """The present folder, with `runs/rooms/model` in it; what takes long is cut short."""
    monkeypatch.chdir(tmp_path)
    tiny_model.save("runs/rooms/model")
    make, collect, evaluate = telos.worlds.make, telos.data.collect, telos.evaluation.evaluate

    def short(name, num=1):
        world = make(name, num)
        world.episode_steps = 12
        return world

    @functools.wraps(collect)
    def few(world, path, *, episodes, length=40, **more):
        return collect(world, path, episodes=min(episodes, 24), length=length, **more)

    monkeypatch.setattr(telos.worlds, "make", short)
    monkeypatch.setattr(telos.data, "collect", few)
    monkeypatch.setattr(telos.evaluation, "evaluate", lambda *given, tasks: evaluate(*given, tasks=2))
    monkeypatch.setattr(telos.recipes, "rooms", telos.recipes.smoke)
    return tmp_path
