"""Progress bars with the time left: `telos.progress.Progress` drawn with rich."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import TimeRemainingColumn as TimeLeft

from telos.cli.console import err

_QUIET_SECONDS = 20.0


class Bars:
    """One bar per stage, on standard error; a line now and then where that is not a terminal.

    Use it as a context manager and pass it as `progress` to the library.
    """

    def __init__(self, console: Console = err) -> None:
        self._console = console
        self._live = console.is_terminal
        self._tasks: dict[str, TaskID] = {}
        self._said: dict[str, float] = {}
        self._started: dict[str, tuple[float, int]] = {}
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeLeft(),
            TextColumn("[dim]{task.fields[values]}"),
            console=console,
        )

    def __enter__(self) -> Bars:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._bars.stop()

    def __call__(self, stage: str, done: int, total: int, **values: float) -> None:
        """Show that `done` of `total` units of `stage` are finished."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        if self._live:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total, completed=done, values=shown)
            self._bars.update(self._tasks[stage], completed=done, total=total, values=shown)
        else:
            self._line(stage, done, total, shown)

    def _line(self, stage: str, done: int, total: int, shown: str) -> None:
        now = time.monotonic()
        began, first = self._started.setdefault(stage, (now, done))
        if done < total and now - self._said.get(stage, -_QUIET_SECONDS) < _QUIET_SECONDS:
            return
        if done >= total and self._said.get(stage) == float("inf"):
            return
        self._said[stage] = float("inf") if done >= total else now
        left = ""
        if first < done < total:
            left = f"  {_clock((now - began) / (done - first) * (total - done))} left"
        self._console.print(f"{stage} {done}/{total}{left}  {shown}".rstrip(), soft_wrap=True, markup=False)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
