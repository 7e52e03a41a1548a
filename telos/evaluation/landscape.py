"""Energy landscapes: how far a goal is from everywhere, and where a guardrail forbids to be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from telos.cost import energy
from telos.data import EpisodeStore
from telos.evaluation.encoding import encode_all, still
from telos.evaluation.episodes import Guardrails, zone_of
from telos.evaluation.recording import Zone
from telos.types import World
from telos.worlds import Rooms
from telos.worlds.geometry import inside
from telos.worlds.layouts import BORDER
from telos.worlds.rooms import IDS

if TYPE_CHECKING:
    from telos.model import Model


@dataclass(frozen=True, eq=False)
class Landscape:
    """The energy to one goal over places of a two-dimensional reading, as the model sees them."""

    reading: str
    unit: str
    places: np.ndarray  # float [n, 2]
    energy: np.ndarray  # float [n]
    violation: np.ndarray | None  # float [n], predicted: the guardrail through the model's readout
    spacing: float | None  # places lie on a grid this far apart; None: they are where data was
    start: np.ndarray  # [2]
    goal: np.ndarray  # [2]
    start_frame: np.ndarray  # uint8 [H, W, C]
    goal_frame: np.ndarray  # uint8 [H, W, C]
    zones: tuple[Zone, ...] = ()

    def to_plain(self) -> dict[str, Any]:
        """Nested dictionaries of numbers and arrays."""
        return {**vars(self), "zones": [vars(zone) for zone in self.zones]}

    @staticmethod
    def from_plain(value: dict[str, Any]) -> Landscape:
        """The inverse of `to_plain`."""
        zones = tuple(Zone(**{**zone, "extent": tuple(zone["extent"])}) for zone in value["zones"])
        return Landscape(**{**value, "zones": zones})


def landscapes(
    model: Model,
    world: World,
    seeds: Sequence[int],
    *,
    guardrails: Guardrails = (),
    store: EpisodeStore | None = None,
    generator: torch.Generator,
    spacing: float = 1.0,
    samples: int = 1500,
) -> tuple[Landscape, ...]:
    """The landscapes of the held-out tasks of these seeds, which `world` (`num` of them) begins.

    In Rooms the dot is put on a grid over the free floor. In other worlds the places are those of
    `samples` held-out frames of `store`, which tells something only where the rest of the picture stays the
    same from episode to episode. Empty where neither is possible, or no reading has two values.
    """
    if len(seeds) != world.num:
        raise ValueError(f"seeds must be {world.num}, one per copy of the world; got {len(seeds)}.")
    name = next((name for name, reading in world.readings.items() if reading.size == 2), None)
    if name is None or (store is None and not isinstance(world, Rooms)):
        return ()
    starts = world.reset(seeds, split="heldout", task=True)
    goals = world.goal_frames()
    here, there = world.read()[name], world.goal_readings()[name]
    targets = model.moving(encode_all(model, still(torch.from_numpy(goals), model.config.frames)))
    found = []
    for copy in range(world.num):
        if isinstance(world, Rooms):
            places, frames = rooms_frames(world, copy, spacing)
        else:
            assert store is not None
            places, frames = _recorded(store, name, samples, generator)
        states = model.moving(encode_all(model, still(torch.from_numpy(frames), model.config.frames)))
        own = [each.select(torch.tensor([copy])) for each in guardrails if each.name == name]
        violation = None
        if own:
            device = next(model.parameters()).device
            with torch.no_grad():
                read = model.read(name, states.to(device)).cpu()[None]
            violation = torch.stack([each.violation_of(read)[0] for each in own]).amax(0).numpy()
        zones = [zone_of(each, copy, world.readings) for each in guardrails]
        found.append(
            Landscape(
                reading=name,
                unit=world.readings[name].unit,
                places=places,
                energy=energy(states, targets[copy]).numpy(),
                violation=violation,
                spacing=spacing if isinstance(world, Rooms) else None,
                start=here[copy],
                goal=there[copy],
                start_frame=starts[copy],
                goal_frame=goals[copy],
                zones=tuple(zone for zone in zones if zone is not None),
            )
        )
    return tuple(found)


def rooms_frames(world: Rooms, copy: int, spacing: float) -> tuple[np.ndarray, np.ndarray]:
    """Places `[n, 2]` on a grid over one copy's free floor; frames uint8 `[n, H, W, C]` of the dot there."""
    floor = IDS[world.id]().floor(int(world.layouts()[copy]))
    (left, top), (right, bottom) = BORDER[:2], BORDER[2:]
    xs, ys = np.arange(left + 0.5, right, spacing), np.arange(top + 0.5, bottom, spacing)
    places = np.stack(np.meshgrid(xs, ys), axis=-1).reshape(-1, 2)
    places = places[~inside(places, floor.walls, margin=0.5)]
    return places, world.frames_at(copy, places)


def _recorded(
    store: EpisodeStore, name: str, samples: int, generator: torch.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Readings `[n, 2]` and frames `[n, H, W, C]` of moments of held-out episodes."""
    _, heldout = store.split()
    if not len(heldout):
        raise ValueError("the store has no held-out episodes to take places from; collect more episodes.")
    pick = torch.randint(len(heldout), (samples,), generator=generator).numpy()
    episodes = heldout[pick]
    share = torch.rand(samples, generator=generator).numpy()
    steps = (share * store.lengths[episodes]).astype(np.int64)
    return store.readings_at(episodes, steps)[name], store.frames_at(episodes, steps)
