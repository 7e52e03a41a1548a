"""What makes planning work, and what is known when most pixels cannot be predicted.

    python -m benchmarks.representation [--group NAME ...] [--world NAME ...] [--seed N ...] [--folder ...]
    python -m benchmarks.representation --method NAME ... [--world NAME ...] [--seed N ...] [--folder ...]
    python -m benchmarks.representation --quick

TwoRooms with walls drawn anew, as it is, with a television of moving noise, and on a moving textured floor.
One encoder and one predictor, those of the recipe `rooms`, learn by each method of `telos.training.methods`
for the same number of updates from the same experience. Then all predictors learn on alike from the frozen
states, and all are planned with alike, towards the same goals in layouts never seen. Three groups of rows:

- `beside`: every method beside the same inverse dynamics and temporal similarity, which go first, and an
  encoder that learned nothing.
- `ablation`: the recipe with one thing changed; three methods that count from the first update on; and three
  of whose first stage nothing but the states is kept.
- `alone`, which is measured when it is asked for: every method by itself, from the first update on; a quarter
  of them one block ahead, then five.

A row is one method, world and training seed. It is kept in `results/representation.json` when it is
measured: stopped, the same command goes on, and run twice at once the two share the work.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch

import telos
from benchmarks.meter import cpu_seconds, machine
from benchmarks.rows import Rows, as_many, waiting
from telos import recipes, ssl
from telos.configuration import to_dict
from telos.data import EpisodeStore
from telos.evaluation import TEST_SEED, evaluate, open_loop, probe
from telos.evaluation.encoding import encode_all
from telos.perception import Keypoints
from telos.recipes import Recipe
from telos.training import Optimisation, Representation, Weights, has_collapsed
from telos.training.batches import BlockWindows
from telos.training.methods import (
    BYOL,
    DINO,
    MMCR,
    VJEPA,
    WMSE,
    BarlowTwins,
    InfoNCE,
    MaskedAutoencoding,
    Method,
    NextFrame,
    Reconstruction,
    SIGReg,
    VarianceCovariance,
    VICReg,
)

RESULT = Path(__file__).parent.parent / "results" / "representation.json"
WORLDS = {
    "clean": "telos/TwoRooms-v0",
    "television": "telos/TwoRoomsTelevision-v0",
    "background": "telos/TwoRoomsBackground-v0",
}
METHODS: Mapping[str, tuple[str, Method]] = {
    "variance-covariance": ("regularised", VarianceCovariance()),
    "VICReg": ("regularised", VICReg()),
    "Barlow Twins": ("regularised", BarlowTwins()),
    "MMCR": ("regularised", MMCR()),
    "W-MSE": ("regularised", WMSE()),
    "SIGReg": ("regularised", SIGReg(deviation=0.31)),  # that of the dot around its window's mean
    "BYOL": ("distilled", BYOL()),
    "V-JEPA": ("distilled", VJEPA()),
    "DINO": ("distilled", DINO()),
    "InfoNCE": ("contrastive", InfoNCE()),
    "reconstruction": ("generative", Reconstruction()),
    "next frame": ("generative", NextFrame()),
    "masked autoencoding": ("generative", MaskedAutoencoding()),
}
GROUPS = ("beside", "ablation", "alone")
TOLD = ("method", "world", "seed", "probe_px", "rankme", "success")
NOTHING = Weights(inverse=0.0, temporal=0.0)


@dataclass(frozen=True)
class Setting:
    """How much of everything, the same for all rows."""

    episodes: int = 1024
    representation: int = 400  # updates of the encoder
    prediction: int = 1000  # updates of the predictor after it
    batch: int = 128  # of those
    tasks: int = 32  # per training seed
    horizon: int = 10  # blocks that are predicted ahead
    sharpness: float = 4.0  # of the first heat maps; with the recipe's 1, one start in ten finds no dot
    seeds: tuple[int, ...] = (0, 1, 2)


QUICK = Setting(episodes=16, representation=6, prediction=4, batch=8, tasks=2, horizon=4, seeds=(0,))


@dataclass(frozen=True)
class Variant:
    """What a row's representation is learned by."""

    group: str  # of GROUPS
    kind: str
    method: Method
    weights: Weights = field(default_factory=Weights)
    around_window_mean: bool = True
    ahead: tuple[int, ...] | None = (1, 5, 5, 5)  # blocks, each for a quarter of the updates
    joins: float = 0.4  # the share of the updates after which the method counts
    trained: bool = True
    anew: bool = False  # whether the predictor that then learns from the frozen states is a new one


def variants() -> dict[str, Variant]:
    """Every variant, by its name in the rows."""
    found = {name: Variant("beside", kind, method) for name, (kind, method) in METHODS.items()}
    main, kind = METHODS["variance-covariance"][1], "regularised"
    assert isinstance(main, VarianceCovariance)
    found["untrained"] = Variant("beside", "untrained", main, trained=False)
    found |= {f"{n}, alone": Variant("alone", k, m, NOTHING, joins=0.0) for n, (k, m) in METHODS.items()}
    at_once = Variant("alone", kind, main, NOTHING, ahead=None, joins=0.0)
    found["variance-covariance, alone, five blocks ahead at once"] = at_once
    for name in ("variance-covariance", "VICReg", "next frame"):
        found[f"{name}, from the start"] = replace(found[name], group="ablation", joins=0.0)
    changes = {
        "no inverse dynamics": {"weights": Weights(inverse=0.0), "joins": 0.0},
        "no variance": {"method": replace(main, variance=0.0)},
        "no prediction": {"method": replace(main, prediction=0.0)},
        "no temporal similarity": {"weights": Weights(temporal=0.0)},
        "with covariance": {"method": replace(main, covariance=1.0)},
        "with straightening": {"weights": Weights(curvature=0.1)},
        "end-point inverse dynamics": {"weights": Weights(inverse=0.0, endpoint=Weights().inverse)},
        "compared across windows": {"around_window_mean": False},
    }
    for name in ("variance-covariance", "VICReg", "reconstruction"):
        found[f"{name}, a new predictor"] = replace(found[name], group="ablation", anew=True)
    plain = Variant("ablation", kind, main)
    return found | {name: replace(plain, **change) for name, change in changes.items()}


def recipe_of(variant: Variant, world: str, setting: Setting) -> Recipe:
    """The recipe `rooms`, shortened, with this representation."""
    rooms = recipes.get("rooms")
    perception = rooms.architecture.perception
    assert isinstance(rooms.representation, Representation)
    assert isinstance(perception, Keypoints)
    assert rooms.prediction is not None
    stages = rooms.representation.optimisation, rooms.prediction.optimisation
    updates = setting.representation if variant.trained else 0
    return replace(
        rooms,
        world=world,
        collection=replace(rooms.collection, episodes=setting.episodes),
        architecture=replace(
            rooms.architecture, ensemble=1, perception=replace(perception, sharpness=setting.sharpness)
        ),
        representation=replace(
            rooms.representation,
            optimisation=replace(stages[0], steps=updates),
            method=variant.method,
            weights=variant.weights,
            around_window_mean=variant.around_window_mean,
            ahead=variant.ahead,
            joins=variant.joins,
        ),
        prediction=replace(
            rooms.prediction,
            optimisation=replace(stages[1], steps=setting.prediction, batch=setting.batch),
            anew=variant.anew,
        ),
        heads=replace(rooms.heads, decoder=Optimisation(steps=0, batch=1)),
    )


def experience(world: str, setting: Setting, folder: Path) -> EpisodeStore:
    """The episodes that all methods learn from in this world."""
    with waiting(folder.with_suffix(".lock")):
        made = telos.make(world, 64)
        how = recipes.get("rooms").collection
        store = telos.collect(
            made, folder, episodes=setting.episodes, length=how.length, seed=0, policy=how.policy
        )
        made.close()
    return as_many(store, setting.episodes, folder)


def measure(variant: Variant, world: str, seed: int, setting: Setting, folder: Path) -> dict[str, Any]:
    """One row: train, probe, imagine, plan."""
    store = experience(world, setting, folder / world.replace("/", "_"))
    recipe = recipe_of(variant, world, setting)
    start = cpu_seconds()
    with tempfile.TemporaryDirectory(dir=folder) as run:
        model = telos.train(store, recipe, run, seed=seed, allow_collapse=True, save_seconds=1e9)
        curve = [json.loads(line) for line in (Path(run) / "metrics.jsonl").read_text().splitlines()]
    trained = cpu_seconds() - start
    generator = torch.Generator().manual_seed(seed)
    probes = {found.method: found.error for found in probe(model, store, generator=generator)}
    ahead = open_loop(model, store, generator=generator, horizon=setting.horizon).readings["agent_xy"]
    found = evaluate(
        model,
        world,
        tasks=setting.tasks,
        seed=TEST_SEED + 5_000_000 + 1000 * seed,  # the same tasks for every method
        configurator=recipe.configurator,
    )
    return rounded(
        {
            "group": variant.group,
            "kind": variant.kind,
            "probe_px": probes["mlp"],
            "probe_linear_px": probes["linear"],
            "probe_floor_px": probes["constant"],
            **held_out_indicators(model, store, generator),
            "open_loop_px": ahead.predicted,
            "open_loop_floor_px": ahead.unchanged,
            "success": found.success,
            "interval": found.interval,
            "n": found.n,
            "noop": found.noop,
            "random": found.random,
            "evaluations_per_plan": found.planning.evaluations / max(found.planning.plans, 1),
            "cpu_seconds_per_plan": found.planning.cpu_seconds / max(found.planning.plans, 1),
            "cpu_seconds_of_training": trained,
            "last_loss": next((row for row in reversed(curve) if row["stage"] == "representation"), None),
        }
    )


def held_out_indicators(
    model: telos.Model, store: EpisodeStore, generator: torch.Generator
) -> dict[str, Any]:
    """The collapse indicators of states of held-out episodes, and whether training would have stopped."""
    space = model.config.action_space
    windows = BlockWindows(store, horizon=5, block=space.block, frames=1, episodes=store.split()[1])
    pixels, _ = windows.sample(256, generator)
    states = model.moving(encode_all(model, pixels.flatten(0, 1)[:, None])).unflatten(0, pixels.shape[:2])
    found = ssl.indicators(states)
    return {
        "rankme": found["rank"],
        "lidar": found["lidar"],
        "std": found["std"],
        "within_episode_variance": found["within_episode_variance"],
        "collapsed": has_collapsed(found),
    }


def rounded(value: Any) -> Any:
    """Four significant digits: what a measurement is worth."""
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if isinstance(value, float) else value


def header(setting: Setting, *, command: str) -> dict[str, Any]:
    """What stands above the rows."""
    shared = recipe_of(variants()["variance-covariance"], WORLDS["clean"], setting)
    configuration = {
        "setting": to_dict(setting),
        "worlds": WORLDS,
        "variants": to_dict(variants()),
        "recipe": to_dict(shared),
    }
    return {"command": command, "machine": machine(), "configuration": configuration}


def main() -> None:
    """Measure what is missing."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = variants()
    parser.add_argument("--world", nargs="+", choices=WORLDS, default=[*WORLDS])
    parser.add_argument("--group", nargs="+", choices=GROUPS, default=["beside", "ablation"])
    parser.add_argument(
        "--method", nargs="+", choices=known, metavar="NAME", help="these alone, of whatever group"
    )
    parser.add_argument("--seed", nargs="+", type=int, choices=Setting.seeds, default=None)
    parser.add_argument("--folder", type=Path, default=Path("runs/representation"), help="for experience")
    parser.add_argument("--quick", action="store_true", help="little of everything; nothing is kept")
    given = parser.parse_args()
    setting = QUICK if given.quick else Setting()
    torch.set_num_threads(1)
    folder: Path = given.folder / "quick" if given.quick else given.folder
    if given.quick:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    rows = Rows(
        folder / "representation.json" if given.quick else RESULT,
        ("method", "world", "seed"),
        header(setting, command="python -m benchmarks.representation"),
        folder / "locks",
    )
    methods = given.method or [name for name, variant in known.items() if variant.group in given.group]
    cells: product[Any] = product(given.seed or setting.seeds, given.world, methods)
    for seed, world, name in cells:
        make = partial(measure, known[name], WORLDS[world], seed, setting, folder)
        if (row := rows.add((name, world, seed), make)) is not None:
            print(json.dumps({key: row[key] for key in TOLD}), flush=True)


if __name__ == "__main__":
    main()
