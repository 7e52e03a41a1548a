"""Discrete actions of a Gymnasium environment, from collecting to an evaluation."""

import json

import gymnasium
import numpy as np
import pytest

import telos
from telos.cli import main
from telos.model import Model
from telos.types import ActionSpace

WORLD = ["--world", "short_discrete:Short"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with data and a model."""
    folder = tmp_path_factory.mktemp("run")
    data = ["--recipe", "smoke", "--out", str(folder / "data"), "--length", "24"]
    assert main(["collect", *data, *WORLD]) == 0
    assert main(["train", "--recipe", "smoke", "--data", str(folder / "data"), "--out", str(folder)]) == 0
    return folder


def test_the_model_plans_with_the_worlds_actions(run):
    model = Model.load(run / "model")
    assert model.config.action_space == ActionSpace.discrete(9, block=4)
    assert model.config.world == "short_discrete:Short"


def test_an_agents_action_is_one_hot_and_its_place_is_what_the_environment_takes(run):
    env = gymnasium.make("telos/TwoRoomsDiscrete-v0")
    frame, info = env.reset(seed=0)
    agent = telos.Agent(Model.load(run / "model"))
    agent.reach(info["goal_frame"])
    for _ in range(2):
        action = agent.act(frame)
        assert sorted(action) == [0] * 8 + [1]
        frame, *_ = env.step(action.argmax())


def test_it_is_evaluated_with_floors(run, tmp_path, capsys):
    out = ["--out", str(tmp_path / "evaluation")]
    assert main(["evaluate", "--model", str(run / "model"), "--tasks", "2", *out, *WORLD]) == 0
    stored = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert {"noop", "random"} <= stored.keys()
    assert stored["floors"][0]["policy"] == "action 0, all the time"


def test_a_model_of_discrete_actions_is_refused_where_they_are_continuous(run, capsys):
    arguments = ["evaluate", "--model", str(run / "model"), "--tasks", "1", "--world", "telos/TwoRooms-v0"]
    assert main(arguments) == 1
    assert "2 action dimensions" in capsys.readouterr().err


def test_the_world_can_be_checked(capsys):
    assert main(["worlds", "--check", "short_discrete:Short"]) == 0
    assert "one of 9" in capsys.readouterr().out
    assert np.isfinite(telos.make("short_discrete:Short").reset([0])).all()
