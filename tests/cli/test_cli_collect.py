"""telos collect and telos data, end to end on tiny sizes."""

import numpy as np
import pytest

from telos.cli import main
from telos.data import EpisodeStore


def collect(path, episodes, *more):
    arguments = ["collect", "--out", str(path), "--episodes", str(episodes), "--length", "5", "--copies", "2"]
    return main([*arguments, *more])


def test_it_fills_a_store_and_continues_it(tmp_path, capsys):
    assert collect(tmp_path / "data", 3) == 0
    assert collect(tmp_path / "data", 5) == 0
    assert len(EpisodeStore.open(tmp_path / "data")) == 5
    assert "agent_xy" in capsys.readouterr().out


def test_other_settings_for_the_same_folder_are_an_error(tmp_path, capsys):
    assert collect(tmp_path / "data", 2) == 0
    assert collect(tmp_path / "data", 2, "--seed", "7") == 1
    assert "seed=0" in capsys.readouterr().err


def test_a_world_of_ones_own_by_its_import_path(tmp_path, monkeypatch):
    (tmp_path / "my_rooms.py").write_text(
        "from telos.worlds import Rooms\ndef Mine(num): return Rooms('telos/FourRooms-v0', num)\n"
    )
    monkeypatch.chdir(tmp_path)
    assert collect(tmp_path / "data", 2, "--world", "my_rooms:Mine") == 0
    assert EpisodeStore.open(tmp_path / "data").schema.world == "my_rooms:Mine"


def test_a_world_in_which_nobody_acts(tmp_path, capsys):
    assert collect(tmp_path / "data", 3, "--world", "telos/Orbits-v0") == 0
    assert main(["data", "verify", str(tmp_path / "data")]) == 0
    assert "telos/Orbits-v0" in capsys.readouterr().out
    store = EpisodeStore.open(tmp_path / "data")
    assert set(store[0].readings) == {"position", "velocity"}
    assert store[0].frames.shape == (6, 64, 128, 3)


def test_verify_passes_a_sound_store_and_names_the_damaged_file(tmp_path, capsys):
    collect(tmp_path / "data", 2)
    assert main(["data", "verify", str(tmp_path / "data")]) == 0
    shard = next(file for file in sorted((tmp_path / "data").rglob("*")) if file.stat().st_size > 60_000)
    content = bytearray(shard.read_bytes())
    content[100] ^= 255
    shard.write_bytes(content)
    assert main(["data", "verify", str(tmp_path / "data")]) == 1
    assert shard.name in capsys.readouterr().err


def test_videos_with_a_table_become_a_store(tmp_path):
    av = pytest.importorskip("av")
    frames = np.random.default_rng(0).integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)
    with av.open(tmp_path / "take_0.mp4", "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width = stream.height = 64
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame)))
        container.mux(stream.encode())
    rows = [f"take_0.mp4,{step},{step / 10},{step}" for step in range(6)]
    (tmp_path / "table.csv").write_text("\n".join(["video,step,action_x,place", *rows]))
    given = ["--videos", str(tmp_path), "--table", str(tmp_path / "table.csv"), "--reading", "place=place"]
    assert main(["data", "import", *given, "--out", str(tmp_path / "data"), "--size", "32"]) == 0
    episode = EpisodeStore.open(tmp_path / "data")[0]
    assert episode.frames.shape == (6, 32, 32, 3)
    assert episode.readings["place"][:, 0].tolist() == [0, 1, 2, 3, 4, 5]
