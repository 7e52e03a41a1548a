"""What every command prints with: results on standard output, progress and messages on standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


class Interrupted(Exception):  # noqa: N818 - it is not an error
    """Ctrl-C, with a sentence that says what is kept."""


@contextmanager
def interruptible(kept: str) -> Iterator[None]:
    """Turn Ctrl-C inside the block into `Interrupted(kept)`."""
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted(kept) from None


def say(message: str) -> None:
    """One line of information on standard error."""
    err.print(escape(message), soft_wrap=True)


def fail(message: str) -> None:
    """One error on standard error."""
    err.print(Text.assemble(("error: ", "bold red"), message), soft_wrap=True)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """A table on standard output: the first column to the left, the others as they come."""
    grid = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for number, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=number == 0)
    for row in rows:
        grid.add_row(*(escape(cell) for cell in row))
    out.print(grid)


def facts(title: str, values: dict[str, str]) -> None:
    """Named values on standard output, one per line."""
    grid = Table(title=title, title_justify="left", title_style="bold", show_header=False, box=None)
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in values.items():
        grid.add_row(escape(name), escape(value))
    out.print(grid)
