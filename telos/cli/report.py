"""`telos report`: one HTML file of what a run folder holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from telos.cli import console
from telos.cli.progress import Bars


def report(
    run: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path | None = None,
    title: str = "",
    figures: Path | None = None,
) -> None:
    """Write one HTML file, which opens offline, of what a run folder holds.

    Where the folder has a model and its data, what the model knows is measured first, once.

    Args:
        run: the folder of the run: with model, data, evaluation, guardrail, or some of them.
        out: the file; by default report.html in the folder.
        title: of the report; by default it speaks of the world.
        figures: a folder for still pictures as well: filmstrip.png and landscape.png.
    """
    from telos.reports import write_report

    with console.interruptible("The report was not written; the same command begins anew."), Bars() as bars:
        analyse(run, bars)
        bars("report", 0, 1)
        written = write_report(run, out, title=title)
        if figures is not None:
            draw(run, figures)
        bars("report", 1, 1)
    console.out.print(f"The report: {written.resolve()}", soft_wrap=True)


def analyse(run: Path, bars: Bars) -> None:
    """Measure what the model of a run folder knows, unless that was done, all of it, since it was trained."""
    from telos.data import EpisodeStore
    from telos.evaluation import Analysis
    from telos.evaluation import analyse as measure
    from telos.model import Model

    config, found = run / "model" / "config.json", run / "analysis.npz"
    if not config.is_file() or not (run / "data" / "schema.json").is_file():
        return
    done = found.is_file() and found.stat().st_mtime >= config.stat().st_mtime
    if done and not Analysis.load(run).missing:
        return
    with EpisodeStore.open(run / "data") as store:
        measure(Model.load(run / "model"), store, progress=bars).save(run)


def draw(run: Path, figures: Path) -> None:
    """Still pictures of the first success that was recorded, and of the first energy landscape."""
    from telos.reports import gather, save_filmstrip, save_landscape

    inputs = gather(run)
    recordings = inputs.evaluation.recordings if inputs.evaluation else ()
    if shown := next((record for record in recordings if record.success), None):
        save_filmstrip(shown, figures / "filmstrip.png")
    if inputs.analysis and inputs.analysis.landscapes:
        save_landscape(inputs.analysis.landscapes[0], figures / "landscape.png")
