"""What a model knows, apart from what an agent achieves with it: probes, prediction, energy, data."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from telos.data import EpisodeStore
from telos.errors import NoTask, TelosError
from telos.evaluation.archive import load_with_arrays, save_with_arrays
from telos.evaluation.landscape import Landscape, landscapes
from telos.evaluation.measure import DEV_SEED, protocol_of
from telos.evaluation.open_loop import Errors, Foretold, OpenLoop, open_loop
from telos.evaluation.plain import plain
from telos.evaluation.probes import ProbeResult, probe
from telos.evaluation.zones import GuardrailProtocol
from telos.progress import Progress, silent
from telos.types import World
from telos.worlds import Rooms, make

if TYPE_CHECKING:
    from telos.model import Model

_BINS = 32


@dataclass(frozen=True, eq=False)
class Coverage:
    """Where the data was, for one reading of two values."""

    reading: str
    unit: str
    extent: tuple[float, float, float, float]  # least and greatest x, then y
    counts: np.ndarray  # [rows (y), columns (x)]


@dataclass(frozen=True)
class DataStatistics:
    """What the model was trained on."""

    episodes: int
    heldout_episodes: int
    frames: int
    layouts: int
    megabytes: float
    actions: tuple[tuple[float, float], ...]  # mean and standard deviation of each action dimension
    source: dict[str, Any] = field(default_factory=dict)
    coverage: tuple[Coverage, ...] = ()


@dataclass(frozen=True)
class Analysis:
    """What a model knows."""

    probes: tuple[ProbeResult, ...] = ()
    open_loop: OpenLoop | None = None
    landscapes: tuple[Landscape, ...] = ()
    data: DataStatistics | None = None
    model: dict[str, Any] = field(default_factory=dict)  # its configuration and number of parameters
    missing: dict[str, str] = field(default_factory=dict)  # why a part of the above could not be measured

    def save(self, folder: str | Path) -> None:
        """Write `analysis.npz` into `folder`, atomically."""
        value = {
            "probes": [vars(each) for each in self.probes],
            "open_loop": None if self.open_loop is None else dataclasses.asdict(self.open_loop),
            "landscapes": [each.to_plain() for each in self.landscapes],
            "data": None
            if self.data is None
            else {**vars(self.data), "coverage": [vars(each) for each in self.data.coverage]},
            "model": self.model,
            "missing": self.missing,
        }
        save_with_arrays(Path(folder) / "analysis.npz", value)

    @staticmethod
    def load(folder: str | Path) -> Analysis:
        """Read what `save` wrote; `TelosError` where it is missing or damaged."""
        value = load_with_arrays(Path(folder) / "analysis.npz")
        try:
            return Analysis(
                probes=tuple(ProbeResult(**each) for each in value["probes"]),
                open_loop=_open_loop(value["open_loop"]),
                landscapes=tuple(Landscape.from_plain(each) for each in value["landscapes"]),
                data=_data(value["data"]),
                model=value["model"],
                missing=value.get("missing", {}),
            )
        except (KeyError, TypeError) as error:
            raise TelosError(f"{folder} holds no analysis ({error!r}). Analyse again.") from error


def analyse(
    model: Model,
    store: EpisodeStore,
    *,
    world: str | None = None,
    seed: int = DEV_SEED,
    goals: int = 3,
    horizon: int = 16,
    guardrail: str | GuardrailProtocol | None = "across",
    progress: Progress = silent,
) -> Analysis:
    """Measure what the model knows, on held-out episodes of the store it was trained on.

    What cannot be measured is left out, and `Analysis.missing` says why: probes and prediction without
    held-out episodes that are long enough, landscapes where the store's world cannot be made here.

    Args:
        world: where the landscapes' tasks are from (the store's own world by default; none if it has none, or
            the world sets no tasks). One that is given must be there: `UnknownName` or `WorldError`.
        seed: of the tasks, and of every random choice.
        goals: how many landscapes.
        horizon: how many blocks ahead to predict.
        guardrail: drawn into the landscapes, as in `evaluate`; "across" only where the world is Rooms and the
            model reads where the dot is.
        progress: told of the stage "analyse".
    """
    protocol_of(guardrail)  # a name that is not known is said at once
    generator = torch.Generator().manual_seed(seed)
    missing: dict[str, str] = {}
    progress("analyse", 0, 4)
    statistics = describe(store)
    progress("analyse", 1, 4)
    probes: tuple[ProbeResult, ...] = ()
    with _reason(missing, "probes"):
        probes = probe(model, store, generator=generator)
    progress("analyse", 2, 4)
    ahead: OpenLoop | None = None
    with _reason(missing, "open_loop"):
        ahead = open_loop(model, store, generator=generator, horizon=horizon)
    progress("analyse", 3, 4)
    opened: World | None = None
    if world is not None:
        opened = make(world, goals)
    elif store.schema.world:
        with _reason(missing, "landscapes"):
            opened = make(store.schema.world, goals)
    found: tuple[Landscape, ...] = ()
    if opened is not None:
        try:
            with _reason(missing, "landscapes"):
                found = _landscapes(model, store, opened, seed, guardrail, generator)
        finally:
            opened.close()
    progress("analyse", 4, 4)
    parameters = {
        part: sum(weight.numel() for weight in module.parameters()) for part, module in model.named_children()
    }
    told = {"config": plain(model.config), "parameters": parameters}
    return Analysis(probes, ahead, found, statistics, told, missing)


@contextmanager
def _reason(missing: dict[str, str], part: str) -> Iterator[None]:
    """Goes on where a part cannot be measured, and keeps what was said of it.

    A world that sets no tasks is not wrong: there is no goal to be near, and nothing to say.
    """
    try:
        yield
    except NoTask:
        pass
    except (TelosError, ValueError, ImportError) as error:
        missing[part] = str(error)


def _landscapes(
    model: Model,
    store: EpisodeStore,
    world: World,
    seed: int,
    guardrail: str | GuardrailProtocol | None,
    generator: torch.Generator,
) -> tuple[Landscape, ...]:
    """The landscapes of the first tasks from `seed` on, as many as the world has copies."""
    fits = isinstance(world, Rooms) and "agent_xy" in model.readouts
    protocol = protocol_of(guardrail) if guardrail != "across" or fits else None
    seeds = protocol.seeds(world, seed, world.num) if protocol else [*range(seed, seed + world.num)]
    world.reset(seeds, split="heldout", task=True)
    held = protocol.guardrails(model, world, seeds) if protocol else ()
    return landscapes(model, world, seeds, guardrails=held, store=store, generator=generator)


def describe(store: EpisodeStore) -> DataStatistics:
    """Count what a store holds, and where its episodes went."""
    last = store.first_rows + store.lengths - 1
    actions = np.delete(store.table("actions"), last, axis=0)
    _, heldout = store.split()
    coverage = []
    for name, reading in store.schema.readings.items():
        if reading.size == 2:
            values = store.table(f"reading.{name}")
            low = _ends(reading.low, values.min(0))
            high = _ends(reading.high, values.max(0))
            sides = [np.linspace(low[axis], high[axis], _BINS + 1) for axis in (1, 0)]
            counts, _, _ = np.histogram2d(values[:, 1], values[:, 0], bins=sides)
            extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
            coverage.append(Coverage(name, reading.unit, extent, counts))
    return DataStatistics(
        episodes=len(store),
        heldout_episodes=len(heldout),
        frames=store.num_frames,
        layouts=len(np.unique(store.layouts)),
        megabytes=store.num_frames * store.schema.frame_bytes / 1e6,
        actions=tuple(zip(actions.mean(0).tolist(), actions.std(0).tolist(), strict=True)),
        source=dict(store.schema.source),
        coverage=tuple(coverage),
    )


def _ends(bounds: tuple[float, ...] | None, seen: np.ndarray) -> np.ndarray:
    """The bounds of a reading `[k]`; where it has none, or they are infinite, how far it was seen to go."""
    return seen if bounds is None else np.where(np.isfinite(bounds), bounds, seen)


def _open_loop(value: Any) -> OpenLoop | None:
    if value is None:
        return None
    readings = {name: _errors(item) for name, item in value["readings"].items()}
    paths = {name: tuple(map(_foretold, item)) for name, item in value.get("paths", {}).items()}
    spectrum = tuple(value.get("spectrum", ()))
    return OpenLoop(value["block"], value["windows"], _errors(value["state"]), readings, paths, spectrum)


def _foretold(value: Any) -> Foretold:
    return Foretold(*(tuple(map(tuple, value[name])) for name in ("foreseen", "came")))


def _errors(value: Any) -> Errors:
    return Errors(value["unit"], tuple(value["predicted"]), tuple(value["unchanged"]))


def _data(value: Any) -> DataStatistics | None:
    if value is None:
        return None
    coverage = tuple(Coverage(**{**each, "extent": tuple(each["extent"])}) for each in value["coverage"])
    actions = tuple((mean, std) for mean, std in value["actions"])
    return DataStatistics(**{**value, "actions": actions, "coverage": coverage})
