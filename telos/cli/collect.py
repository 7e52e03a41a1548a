"""`telos collect`: experience without rewards, from a world into an episode store."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from telos.cli import console
from telos.cli.progress import Bars


def collect(
    *,
    out: Path,
    world: str = "telos/TwoRooms-v0",
    episodes: int = 1000,
    length: int | None = None,
    seed: int = 0,
    copies: int = 16,
    split: Literal["train", "heldout"] = "train",
) -> None:
    """Collect episodes in a world with an exploring policy. Run again, it continues where it stopped.

    Args:
        out: the folder of the episode store.
        world: a telos name, a Gymnasium id, or package.module:Class.
        episodes: how many episodes the store shall hold in the end.
        length: steps per episode; by default the world's own.
        seed: what the starts and the actions are drawn from.
        copies: how many episodes are run and committed at a time.
        split: which layouts to use; those of "heldout" never occur in "train".
    """
    from telos import data, worlds

    kept = f"Episodes that are finished are kept in {out}; the same command continues."
    made = worlds.make(world, min(copies, episodes) if episodes > 0 else 1)
    try:
        with console.interruptible(kept), Bars() as bars:
            store = data.collect(
                made, out, episodes=episodes, length=length, seed=seed, split=split, progress=bars
            )
    finally:
        made.close()
    console.facts(
        f"{out}",
        {
            "world": made.id,
            "episodes": f"{len(store)}",
            "frames": f"{store.num_frames}",
            "readings": ", ".join(made.readings) or "none",
            "next": f"telos train --data {out} --out RUN/model",
        },
    )
