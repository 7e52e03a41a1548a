"""telos worlds lists worlds, and checks one that someone else wrote."""

from pathlib import Path

import pytest

from telos.cli import main

BROKEN = """
import numpy as np
from telos.worlds import Rooms

class Dark(Rooms):
    def __init__(self, num): super().__init__("telos/TwoRooms-v0", num)
    def reset(self, seeds, **more): return np.zeros_like(super().reset(seeds, **more))
    def step(self, actions): return np.zeros_like(super().step(actions))
"""


ENDING = """
from odd_worlds import Slider, SliderAdapter

class Brief(Slider):
    steps = 0
    def reset(self, **more):
        self.steps = 0
        return super().reset(**more)
    def step(self, action):
        self.steps += 1
        return (*super().step(action)[:3], self.steps == 5, {})

class Ending(SliderAdapter):
    env = Brief
"""


def test_it_lists_worlds_with_their_readings(capsys):
    assert main(["worlds"]) == 0
    said = capsys.readouterr().out
    assert "telos/TwoRooms-v0" in said
    assert "agent_xy" in said


def test_it_passes_a_world_that_keeps_the_contract(capsys):
    assert main(["worlds", "--check", "telos/TwoRooms-v0"]) == 0
    assert "failed" not in capsys.readouterr().out


def test_a_world_without_tasks_is_worth_a_note(capsys):
    assert main(["worlds", "--check", "telos/OrbitsQuiet-v0"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "sets no tasks" in said
    assert "failed" not in said


@pytest.mark.filterwarnings("default::telos.errors.FrozenFrames")
def test_a_world_that_ends_episodes_is_worth_a_note_and_so_is_what_is_collected_in_it(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "ending_world.py").write_text(ENDING)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "worlds")
    assert main(["worlds", "--check", "ending_world:Ending"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "2 of 2 ended within 30 random steps" in said
    assert "failed" not in said
    given = ["--world", "ending_world:Ending", "--out", "data", "--episodes", "2", "--copies", "2"]
    assert main(["collect", *given, "--length", "20"]) == 0
    assert "before 30 of the 40 steps that were collected (75.0%)" in capsys.readouterr().err
    assert main(["collect", *given[:-2], "--copies", "1", "--length", "5", "--out", "short"]) == 0
    assert "steps that were collected" not in capsys.readouterr().err


def test_it_says_what_is_wrong_with_a_world_whose_camera_sees_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "dark_world.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    assert main(["worlds", "--check", "dark_world:Dark"]) == 1
    assert "same value" in " ".join(capsys.readouterr().out.split())
