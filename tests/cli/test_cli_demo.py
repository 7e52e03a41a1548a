"""telos demo: stages that are skipped once finished, and settings that must stay the same."""

import dataclasses
import json

import pytest

from telos import recipes, worlds
from telos.cli import main
from telos.cli.demo import Demo
from tests.cli.short_rooms import Short


@pytest.fixture
def tiny(monkeypatch):
    """The smallest recipe, in a world that is registered for the test and has no floor plan to forbid."""
    monkeypatch.setitem(worlds.registry._REGISTERED, "test/Short", Short)
    recipe = dataclasses.replace(recipes.smoke(), name="tiny", world="test/Short")
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: recipe)
    monkeypatch.setattr(Demo, "tasks", 2)
    return recipe


def demo(out, *more):
    return main(["demo", "--recipe", "tiny", "--out", str(out), *more])


def test_it_goes_from_nothing_to_a_report_and_the_second_time_does_nothing(tiny, tmp_path, capsys):
    assert demo(tmp_path / "demo") == 0
    said = capsys.readouterr().out
    assert "95 % interval" in said
    assert "floor: no-op" in said
    written = {file: file.stat().st_mtime_ns for file in (tmp_path / "demo").rglob("*") if file.is_file()}
    assert (tmp_path / "demo" / "report.html") in written
    assert demo(tmp_path / "demo") == 0
    assert written == {file: file.stat().st_mtime_ns for file in written}


def test_a_stage_that_failed_is_done_again_and_what_was_finished_is_kept(tiny, tmp_path, monkeypatch):
    def broken(self, bars):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Demo, "_evaluate", broken)
        assert demo(tmp_path / "demo") == 1
    assert json.loads((tmp_path / "demo" / "demo.json").read_text())["finished"] == ["collect", "train"]
    model = (tmp_path / "demo" / "model" / "model.safetensors").stat().st_mtime_ns
    assert demo(tmp_path / "demo") == 0
    assert (tmp_path / "demo" / "model" / "model.safetensors").stat().st_mtime_ns == model


def test_other_settings_in_the_same_folder_are_an_error_that_names_them(tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(Demo, "do", lambda self, stage: None)
    monkeypatch.setattr(Demo, "show", lambda self: None)
    assert demo(tmp_path / "demo") == 0
    assert demo(tmp_path / "demo", "--seed", "1") == 1
    assert "another seed (it was 0, now it is 1)" in " ".join(capsys.readouterr().err.split())
    longer = dataclasses.replace(tiny, collection=dataclasses.replace(tiny.collection, episodes=17))
    monkeypatch.setitem(recipes.RECIPES, "tiny", lambda: longer)
    assert demo(tmp_path / "demo") == 1
    assert "collection.episodes: it was 16, now it is 17" in " ".join(capsys.readouterr().err.split())
