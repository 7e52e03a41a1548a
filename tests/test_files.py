"""Atomic writes: the old thing or the new one, whole."""

import json
import shutil
from pathlib import Path

import pytest

from telos.files import atomic_folder, atomic_path, write_json


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def stop_half_way(file):
    file.write_text("half")
    raise KeyboardInterrupt


def test_a_new_file_replaces_the_old_one_and_leaves_nothing_beside(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with atomic_path(tmp_path / "a.txt") as aside:
        aside.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
    assert (tmp_path / "a.txt").read_text() == "new"
    assert names(tmp_path) == ["a.txt"]


def test_an_error_in_the_block_leaves_the_old_file(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a.txt") as aside:
        stop_half_way(aside)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_file_may_go_into_a_folder_that_is_not_there_yet(tmp_path):
    write_json(tmp_path / "deep" / "a.json", {"b": [1, 2]})
    assert json.loads((tmp_path / "deep" / "a.json").read_text()) == {"b": [1, 2]}


def test_json_that_no_other_reader_knows_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", float("nan"))
    assert names(tmp_path) == []


def fill(folder, text):
    with atomic_folder(folder) as aside:
        (aside / "sub").mkdir()
        (aside / "sub" / "a.txt").write_text(text)


def test_a_new_folder_replaces_the_old_one_as_a_whole(tmp_path):
    fill(tmp_path / "model", "old")
    with atomic_folder(tmp_path / "model") as aside:
        (aside / "b.txt").write_text("new")
    assert names(tmp_path) == ["model"]
    assert names(tmp_path / "model") == ["b.txt"]


def test_an_error_in_the_block_leaves_the_old_folder(tmp_path):
    fill(tmp_path / "model", "old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "model") as aside:
        stop_half_way(aside / "b.txt")
    assert names(tmp_path) == ["model"]
    assert (tmp_path / "model" / "sub" / "a.txt").read_text() == "old"


def test_a_second_rename_that_fails_undoes_the_first(tmp_path, monkeypatch):
    fill(tmp_path / "model", "old")
    rename = Path.replace

    def fail(source, target):
        if source.suffix == ".part":
            raise OSError("no")
        return rename(source, target)

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(OSError, match="no"):
        fill(tmp_path / "model", "new")
    assert (tmp_path / "model" / "sub" / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_folder_lost_between_the_renames_is_put_back_by_the_next_write(tmp_path):
    fill(tmp_path / "model", "old")
    shutil.move(tmp_path / "model", tmp_path / ".model.99999.old")  # what a SIGKILL there leaves
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "model") as aside:
        stop_half_way(aside / "b.txt")
    assert (tmp_path / "model" / "sub" / "a.txt").read_text() == "old"
