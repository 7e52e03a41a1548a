"""Progress bars on a terminal, and lines now and then elsewhere."""

import io

from rich.console import Console

from telos.cli.progress import Bars


def shown(*, terminal):
    file = io.StringIO()
    with Bars(Console(file=file, force_terminal=terminal, width=140)) as bars:
        for done in range(11):
            bars("train", done, 10, loss=0.25)
    return file.getvalue()


def test_a_terminal_shows_a_bar_with_the_time_left_and_the_values():
    said = shown(terminal=True)
    assert "train" in said
    assert "10/10" in said
    assert "loss 0.25" in said


def test_elsewhere_the_beginning_and_the_end_are_said_once():
    assert shown(terminal=False).splitlines() == ["train 0/10  loss 0.25", "train 10/10  loss 0.25"]
