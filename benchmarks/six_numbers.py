"""Six numbers say where a planet goes; what does a model keep of all that is seen of it?

    python -m benchmarks.six_numbers [--part methods|sizes|nuisances ...] [--seed N ...] [--folder FOLDER]
    python -m benchmarks.six_numbers --quick

telos/Orbits-v0, from video alone: no actions, no labels, no rewards. One encoder and one predictor, those of
the recipe `orbits`, learn by each method of `telos.training.methods` for the same number of updates from the
same videos; then all predictors learn on alike from the frozen states. Measured on orbits never seen: how
well a linear probe reads the three positions and the three velocities, how many dimensions vary, and how far
off the planet is up to 100 steps ahead (distance over the orbit's semi-major axis). Three parts:

- `methods`: every method, an encoder that learned nothing, and floors.
- `sizes`: the main method with a state of 2 to 64 numbers, and the pixel predictor.
- `nuisances`: both where nothing distracts, and with all but one detail of the picture.

A row is one method, world, size of the state and training seed. It is kept in `results/six_numbers.json`
when it is measured: stopped, the same command goes on, and run twice at once the two share the work.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import telos
from benchmarks.meter import cpu_seconds, machine
from benchmarks.orbit_measures import HELDOUT_SEED, NUMBERS, bootstrap, floors, measure, pixel_probes
from benchmarks.representation import METHODS as OTHERS
from benchmarks.representation import rounded
from benchmarks.rows import Rows, as_many, waiting
from telos import recipes
from telos.configuration import to_dict
from telos.data import EpisodeStore
from telos.evaluation.archive import dump
from telos.files import atomic_path
from telos.perception import Tracks
from telos.recipes import Recipe
from telos.training import Optimisation, Representation
from telos.training.methods import Method, SIGReg
from telos.worlds import Nuisances, Orbits
from telos.worlds.orbits import QUIET

RESULT = Path(__file__).parent.parent / "results" / "six_numbers.json"
KEYS = ("method", "world", "size", "seed")
MAIN, PIXELS, UNTRAINED = "variance-covariance", "next frame", "untrained"
DETAILS = tuple(field.name for field in fields(Nuisances))
WORLDS: Mapping[str, Nuisances] = {
    "all": Nuisances(),
    "none": QUIET,
    **{f"no {name}": replace(Nuisances(), **{name: 0.0}) for name in DETAILS},
}
"""What is seen beside the planet: how strong each detail is."""


@dataclass(frozen=True)
class Setting:
    """How much of everything, the same for all rows."""

    episodes: int = 1200
    orbits: int = 96  # never seen, that are measured on
    labelled: int = 150  # training episodes whose frames the probe is fitted on
    representation: int = 600  # updates of the encoder
    prediction: int = 1500  # updates of the predictor after it
    size: int = 8  # of the state, where it is not what is asked about
    sizes: tuple[int, ...] = (2, 3, 4, 5, 6, 8, 16, 32, 64)
    seeds: tuple[int, ...] = (0, 1, 2)


QUICK = Setting(
    episodes=16, orbits=4, labelled=4, representation=4, prediction=3, size=6, sizes=(2, 6), seeds=(0,)
)


def methods() -> dict[str, tuple[str, Method]]:
    """Every method with its kind: those of the other study, but for the main one's weights, SIGReg's aim."""
    main = recipes.get("orbits").representation
    assert isinstance(main, Representation)
    kinds = {"regularised": "jepa", "distilled": "jepa"}
    found = {name: (kinds.get(kind, kind), method) for name, (kind, method) in OTHERS.items()}
    return found | {
        MAIN: ("jepa", main.method),
        "SIGReg": ("jepa", SIGReg(deviation=0.7)),
    }


def recipe_of(name: str, size: int, setting: Setting) -> Recipe:
    """The recipe `orbits` with this method and this size of the state."""
    orbits = recipes.get("orbits")
    stage, last = orbits.representation, orbits.prediction
    assert isinstance(stage, Representation)
    assert last is not None
    assert isinstance(orbits.architecture.perception, Tracks)
    updates = 0 if name == UNTRAINED else setting.representation
    return replace(
        orbits,
        collection=replace(orbits.collection, episodes=setting.episodes),
        architecture=replace(
            orbits.architecture, perception=replace(orbits.architecture.perception, features=size)
        ),
        representation=replace(
            stage,
            optimisation=replace(stage.optimisation, steps=updates),
            method=methods()[MAIN if name == UNTRAINED else name][1],
        ),
        prediction=replace(last, optimisation=replace(last.optimisation, steps=setting.prediction)),
        heads=replace(orbits.heads, decoder=Optimisation(steps=0, batch=1)),
    )


def cells(setting: Setting) -> dict[str, list[tuple[str, str, int, int]]]:
    """The keys of all rows, by part; the first seed of everything comes first."""
    two = (MAIN, PIXELS)
    found: dict[str, list[tuple[str, str, int, int]]] = {"methods": [], "sizes": [], "nuisances": []}
    for seed in setting.seeds:
        found["methods"] += [(name, "all", setting.size, seed) for name in (*methods(), UNTRAINED)]
        found["sizes"] += [(name, "all", size, seed) for size in setting.sizes for name in two]
    found["nuisances"] = [(name, world, setting.size, setting.seeds[0]) for world in WORLDS for name in two]
    return found


def videos(world: str, split: str, setting: Setting, folder: Path) -> EpisodeStore:
    """What all methods learn from in this world ("train"), or are measured on ("heldout")."""
    path = folder / world.replace(" ", "_") / split
    episodes = setting.episodes if split == "train" else setting.orbits
    with waiting(folder / f"{world}-{split}.lock".replace(" ", "_")):
        store = telos.collect(
            Orbits(num=16 if split == "train" else 8, nuisances=WORLDS[world]),
            path,
            episodes=episodes,
            seed=0 if split == "train" else HELDOUT_SEED,
            split=split,
        )
    return as_many(store, episodes, path)


def row(key: tuple[str, str, int, int], setting: Setting, folder: Path) -> dict[str, Any]:
    """One row: train, probe, foresee."""
    name, world, size, seed = key
    train, heldout = (videos(world, split, setting, folder) for split in ("train", "heldout"))
    start = cpu_seconds()
    with tempfile.TemporaryDirectory(dir=folder) as run:
        recipe = recipe_of(name, size, setting)
        model = telos.train(train, recipe, run, seed=seed, allow_collapse=True, save_seconds=1e9)
    trained = cpu_seconds() - start
    kind = UNTRAINED if name == UNTRAINED else methods()[name][0]
    found = measure(model, train, heldout, labelled=setting.labelled)
    parameters = sum(
        value.numel() for part in (model.encoder, model.predictor) for value in part.parameters()
    )
    return rounded({"kind": kind, **found, "parameters": parameters, "cpu_seconds_of_training": trained})


def reference(setting: Setting, folder: Path) -> dict[str, Any]:
    """What is reached without a model."""
    recipe = recipes.get("orbits").architecture
    train, heldout = (videos("all", split, setting, folder) for split in ("train", "heldout"))
    look = (recipe.frames - 1) * recipe.spacing + 1
    return rounded(
        {
            "error": floors(train, heldout, look=look, block=recipe.block),
            "probes": pixel_probes(
                train,
                heldout,
                labelled=setting.labelled,
                frames=recipe.frames,
                spacing=recipe.spacing,
                sizes=(setting.size, 64),
            ),
        }
    )


def summary(rows: list[dict[str, Any]], setting: Setting) -> list[dict[str, Any]]:
    """One row per method, seeds together: means, and the interval over orbits of the error at 100 steps."""
    found = []
    for name in (*methods(), UNTRAINED):
        mine = [
            each
            for each in rows
            if (each["method"], each["world"], each["size"]) == (name, "all", setting.size)
        ]
        if not mine:
            continue
        r2 = {number: float(np.mean([each["r2"][number] for each in mine])) for number in NUMBERS}
        orbits = np.array([each["orbits_100"] for each in mine]).T  # [orbits, seeds]
        found.append(
            {
                "method": name,
                "kind": mine[0]["kind"],
                "r2": r2,
                "mean_r2": float(np.mean([*r2.values()])),
                "mean_r2_worst_seed": min(each["mean_r2"] for each in mine),
                "effective_rank": float(np.mean([each["effective_rank"] for each in mine])),
                "error_100": float(np.median(orbits, axis=0).mean()),
                "error_100_interval": bootstrap(orbits, np.median),
                "seeds": len(mine),
                "orbits": len(orbits),
                "cpu_seconds_of_training": float(np.mean([each["cpu_seconds_of_training"] for each in mine])),
            }
        )
    return [rounded(each) for each in found]


def header(setting: Setting) -> dict[str, Any]:
    """What stands above the rows."""
    configuration = {
        "setting": to_dict(setting),
        "worlds": to_dict(WORLDS),
        "methods": to_dict({name: {"kind": kind, "method": how} for name, (kind, how) in methods().items()}),
        "recipe": to_dict(recipe_of(MAIN, setting.size, setting)),
    }
    return {
        "command": "python -m benchmarks.six_numbers",
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "configuration": configuration,
    }


def finish(path: Path, setting: Setting, folder: Path) -> None:
    """Put what is known of each method, and the floors, above the rows."""
    if not path.exists():
        return
    with waiting(folder / "locks" / "result.lock"):
        whole = json.loads(path.read_text())
        whole.setdefault("floors", {})
        if not whole["floors"]:
            whole["floors"] = reference(setting, folder)
        rows = whole.pop("rows")
        whole = {**whole, "methods": summary(rows, setting), "rows": rows}
        with atomic_path(path) as aside:
            aside.write_text(dump(whole))


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=("methods", "sizes", "nuisances"), default=None)
    parser.add_argument("--seed", nargs="+", type=int, choices=Setting.seeds, default=None)
    parser.add_argument("--folder", type=Path, default=Path("runs/six_numbers"), help="for videos")
    parser.add_argument("--quick", action="store_true", help="little of everything; nothing is kept")
    given = parser.parse_args()
    setting = QUICK if given.quick else Setting()
    torch.set_num_threads(1)
    folder: Path = given.folder / "quick" if given.quick else given.folder
    if given.quick:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "six_numbers.json" if given.quick else RESULT
    rows = Rows(path, KEYS, header(setting), folder / "locks")
    wanted = cells(setting)
    for part in given.part or wanted:
        for key in wanted[part]:
            if given.seed and key[-1] not in given.seed:
                continue
            made = rows.add(key, partial(row, key, setting, folder))
            if made is not None:
                told = (*KEYS, "mean_r2", "effective_rank", "error_100", "cpu_seconds_of_training")
                print(json.dumps({name: made[name] for name in told}), flush=True)
            world = key[1]
            if world != "all" and all(rows.has(each) for each in wanted[part] if each[1] == world):
                # A world's videos are gigabytes, and nothing else needs these.
                shutil.rmtree(folder / world.replace(" ", "_"), ignore_errors=True)
    finish(path, setting, folder)


if __name__ == "__main__":
    main()
