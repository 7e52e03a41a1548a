"""A folder with the run that the pages speak of, in a tiny form."""

import dataclasses

import pytest

from telos.model import Model, ModelConfig
from telos.worlds import make


@pytest.fixture(scope="session")
def tiny_model():
    """An untrained model of TwoRooms, with everything a trained one has."""
    world = make("telos/TwoRooms-v0")
    config = ModelConfig(
        world=world.id,
        frame_shape=world.frame_shape,
        action_space=dataclasses.replace(world.action_space, block=4),
        state_size=16,
        slow_size=4,
        encoder_width=4,
        predictor_hidden=16,
        readings=dict(world.readings),
    )
    model = Model(config)
    model.add_decoder()
    model.add_readout("agent_xy").record(labels=500, error=1.0)
    return model


@pytest.fixture
def run_folder(tmp_path, monkeypatch, tiny_model):
    """The present folder, with `runs/rooms/model` in it."""
    monkeypatch.chdir(tmp_path)
    tiny_model.save("runs/rooms/model")
    return tmp_path
