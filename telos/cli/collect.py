"""`telos collect`: experience without rewards, from a world into an episode store."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from telos.cli import console
from telos.cli.progress import Bars


def collect(
    *,
    out: Path,
    world: str | None = None,
    recipe: str = "rooms",
    episodes: int | None = None,
    length: int | None = None,
    seed: int = 0,
    copies: int = 16,
    split: Literal["train", "heldout"] = "train",
) -> None:
    """Collect episodes in a world with an exploring policy. Run again, it continues where it stopped.

    Args:
        out: the folder of the episode store.
        world: a telos name, a Gymnasium id, or package.module:Class; by default the recipe's.
        recipe: says how many episodes, how long, and how to explore.
        episodes: how many episodes the store shall hold in the end; by default the recipe's number.
        length: steps per episode; by default the recipe's.
        seed: what the starts and the actions are drawn from.
        copies: how many episodes are run and committed at a time.
        split: which layouts to use; those of "heldout" never occur in "train".
    """
    from telos import data, recipes, worlds

    chosen = recipes.get(recipe)
    made = worlds.make(chosen.world if world is None else world, copies)
    try:
        with console.interruptible(kept(out)), Bars() as bars:
            store = data.collect(
                made,
                out,
                episodes=chosen.collection.episodes if episodes is None else episodes,
                length=chosen.collection.length if length is None else length,
                seed=seed,
                policy=chosen.collection.policy,
                split=split,
                progress=bars,
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
            "next": f"telos train --data {out} --recipe {recipe} --out {out.parent}",
        },
    )


def kept(out: Path) -> str:
    """What Ctrl-C leaves of collecting."""
    return f"Episodes that are finished are kept in {out}; the same command continues."
