"""How long work reports its progress: a callback, so that the library never prints."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called as work goes on: `progress("train", 120, 1000, loss=0.3)`."""

    def __call__(self, stage: str, done: int, total: int, **values: float) -> None:
        """`done` of `total` units of `stage` are finished; `values` are worth showing beside the bar."""
        ...


def silent(stage: str, done: int, total: int, **values: float) -> None:
    """Report nothing."""
