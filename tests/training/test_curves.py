"""Tracking services: what they are told, that they are told it once, and what is said without them."""

import json
import sys
from types import SimpleNamespace

import pytest

from telos.errors import TelosError, UnknownName
from telos.training import train
from telos.training.curves import Service
from telos.training.events import EVENTS
from telos.training.run import METRICS


class Package:
    """What `wandb` and `trackio` have in common."""

    def __init__(self):
        self.opened, self.logged, self.charts, self.finished = [], [], [], 0

    def init(self, **settings):
        self.opened.append(settings)
        return SimpleNamespace(
            log=self.logged.append,
            define_metric=lambda name, step_metric: self.charts.append((name, step_metric)),
            finish=lambda: setattr(self, "finished", self.finished + 1),
        )


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_every_line_of_metrics_goes_to_the_service_too(name, store, recipe, tmp_path, monkeypatch):
    package = Package()
    monkeypatch.setitem(sys.modules, name, package)
    train(store, recipe, tmp_path / "run", log=name)
    rows = [json.loads(line) for line in (tmp_path / "run" / METRICS).read_text().splitlines()]
    assert [row["representation/step"] for row in package.logged[:2]] == [20, 22]
    assert len(package.logged) == len(rows)
    assert package.logged[0]["representation/loss"] == pytest.approx(rows[0]["loss"], rel=1e-5)
    assert package.finished == 1
    (settings,) = package.opened
    assert settings["config"]["recipe"]["name"] == "smoke"
    assert settings["resume"] == "allow"
    assert (("decoder/*", "decoder/step") in package.charts) == (name == "wandb")


def test_another_folder_is_another_run_and_the_same_one_goes_on(tmp_path, monkeypatch):
    package = Package()
    monkeypatch.setitem(sys.modules, "wandb", package)
    for folder, seed in (
        (tmp_path / "a" / "run", 0),
        (tmp_path / "b" / "run", 0),
        (tmp_path / "a" / "run", 0),
    ):
        Service("wandb", folder, {"seed": seed})
    first, second, again = (settings["id"] for settings in package.opened)
    assert first == again != second


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_service_that_is_not_installed_is_named_with_its_extra(name, store, recipe, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TelosError, match=rf"pip install 'telos\[{name}\]'"):
        train(store, recipe, tmp_path, log=name)


def test_what_a_service_has_against_a_run_is_said_with_what_to_do(tmp_path, monkeypatch):
    def init(**settings):
        raise RuntimeError("No API key configured.")

    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    with pytest.raises(TelosError, match=r"No API key configured. .*WANDB_MODE=offline.*TensorBoard"):
        Service("wandb", tmp_path, {})


def test_another_service_is_refused_with_the_known_ones(tmp_path):
    with pytest.raises(UnknownName, match="Did you mean wandb"):
        Service("wandbb", tmp_path, {})


def test_every_run_has_events_for_tensorboard(store, recipe, tmp_path):
    train(store, recipe, tmp_path)
    told = (tmp_path / EVENTS).read_bytes()
    for name in ("representation/loss", "prediction/long_prediction", "decoder/cpu_seconds"):
        assert name.encode() in told
