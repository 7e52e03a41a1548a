"""telos worlds lists worlds, and checks one that someone else wrote."""

from telos.cli import main

BROKEN = """
import numpy as np
from telos.worlds import Rooms

class Dark(Rooms):
    def __init__(self, num): super().__init__("telos/TwoRooms-v0", num)
    def reset(self, seeds, **more): return np.zeros_like(super().reset(seeds, **more))
    def step(self, actions): return np.zeros_like(super().step(actions))
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


def test_it_says_what_is_wrong_with_a_world_whose_camera_sees_nothing(tmp_path, monkeypatch, capsys):
    (tmp_path / "dark_world.py").write_text(BROKEN)
    monkeypatch.chdir(tmp_path)
    assert main(["worlds", "--check", "dark_world:Dark"]) == 1
    assert "same value" in " ".join(capsys.readouterr().out.split())
