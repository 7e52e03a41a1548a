"""A small run to report: an evaluation, one with a guardrail, an analysis, metrics."""

import json

import pytest
import torch

from telos.actor import CEM
from telos.data import collect
from telos.evaluation import Across, Record, analyse, evaluate
from telos.evaluation.oracle import Oracle
from telos.types import Budget, Configuration
from telos.worlds import Rooms


def plans(situation):
    return Configuration(CEM(candidates=48), horizon=8, budget=Budget(2), replan_every=8)


def short(num=5):
    world = Rooms(num=num)
    world.episode_steps = 48
    return world


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    model = Oracle()
    usual = {"configurator": plans, "record": Record(2, 2)}
    evaluate(model, short(), tasks=10, command="telos evaluate <x>", **usual).save(folder / "evaluation")
    evaluate(model, short(), tasks=5, guardrail="across", floors=False, **usual).save(folder / "guardrail")
    store = collect(Rooms(num=10), folder / "data", episodes=20, seed=5, length=24)
    analyse(model, store, goals=2, horizon=4, guardrail=Across()).save(folder / "analysis")
    rows = [
        {
            "stage": "representation",
            "step": step,
            "loss": 9 / step,
            "inverse": 1 / step,
            "std": 0.5,
            "rank": 7.0,
        }
        for step in range(10, 200, 10)
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "metrics.jsonl").write_text(lines + '{"step": 999, "lo')  # a kill in the middle of a line
    return folder
