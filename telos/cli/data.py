"""`telos data import` and `telos data verify`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from telos.cli import console
from telos.cli.progress import Bars


@dataclass(frozen=True)
class Import:
    """Make an episode store of a folder of videos and a table of actions (csv or parquet)."""

    videos: Path
    """The folder that holds the videos."""
    table: Path
    """A csv or parquet file (or a folder of them) with one row per frame: video, step, action columns."""
    out: Path
    """The folder of the episode store."""
    actions: tuple[str, ...] = ()
    """The action columns; by default those whose name begins with "action"."""
    reading: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """A named quantity and its columns, NAME=COLUMN,COLUMN; may be given several times."""
    size: int = 64
    """Height and width of the frames in pixels: cropped about the centre, averaged down."""


@dataclass(frozen=True)
class Verify:
    """Read every byte of an episode store and compare it with its checksums."""

    path: Annotated[Path, tyro.conf.Positional]
    """The folder of the episode store."""


def data(
    action: Annotated[Import, tyro.conf.subcommand("import")]
    | Annotated[Verify, tyro.conf.subcommand("verify")],
) -> None:
    """Bring your own recordings, and check stores.

    Args:
        action: what to do.
    """
    if isinstance(action, Import):
        _import(action)
    else:
        _verify(action)


def _import(asked: Import) -> None:
    from telos.data import import_videos

    kept = f"Videos that are finished are kept in {asked.out}; the same command continues."
    with console.interruptible(kept), Bars() as bars:
        made = import_videos(
            asked.videos,
            asked.table,
            asked.out,
            actions=asked.actions or None,
            readings=dict(_columns(text) for text in asked.reading),
            size=asked.size,
            progress=bars,
        )
    for name in made.unused:
        console.say(f"Not used, because the table does not name it: {name}")
    console.facts(
        f"{asked.out}",
        {
            "episodes": f"{made.episodes}",
            "frames": f"{made.frames}",
            "actions": ", ".join(made.action_columns),
            "readings": ", ".join(made.store.schema.readings) or "none",
            "next": f"telos train --data {asked.out} --out {asked.out.parent}",
        },
    )


def _columns(text: str) -> tuple[str, list[str]]:
    name, found, columns = text.partition("=")
    if not found or not name or not columns:
        raise ValueError(f"--reading must be NAME=COLUMN,COLUMN; got '{text}'.")
    return name, columns.split(",")


def _verify(asked: Verify) -> None:
    from telos.data import EpisodeStore

    with EpisodeStore.open(asked.path) as store:
        store.verify()
        console.facts(
            f"{asked.path}: sound",
            {
                "episodes": f"{len(store)}",
                "frames": f"{store.num_frames}",
                "world": store.schema.world or "unknown",
            },
        )
