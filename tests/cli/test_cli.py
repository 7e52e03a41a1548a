"""What every command has in common: exit codes, messages, names that were mistyped."""

import subprocess
import sys

import pytest

from telos.cli import main


@pytest.mark.parametrize(
    ("arguments", "near"),
    [
        (["colect"], "collect"),
        (["collect", "--episods", "3"], "--episodes"),
        (["data", "import", "--tabel", "x"], "--table"),
    ],
)
def test_an_unknown_command_or_option_is_a_usage_error_that_lists_the_near_names(arguments, near, capsys):
    assert main(arguments) == 2
    assert f"Did you mean {near}" in capsys.readouterr().err


def test_an_unknown_world_is_one_message_with_the_near_names(tmp_path, capsys):
    assert main(["collect", "--out", str(tmp_path / "data"), "--world", "telos/TwoRoms-v0"]) == 1
    said = capsys.readouterr().err
    assert "Did you mean telos/TwoRooms-v0" in said
    assert "Traceback" not in said


def test_debug_shows_where_it_happened(tmp_path, capsys):
    assert main(["--debug", "data", "verify", str(tmp_path)]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_help_is_fine_and_says_every_command(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("collect", "worlds", "data"))


def test_help_does_not_import_torch():
    code = "import sys; from telos.cli import main; main(['--help']); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_a_file_that_cannot_be_written_is_one_message(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert main(["collect", "--out", str(tmp_path / "file" / "data"), "--episodes", "1"]) == 1
    assert "Traceback" not in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("telos 0.")
