"""Guardrail protocols: which regions are forbidden in an evaluation, and on which tasks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from telos.cost import Disc, ReadingGuardrail, Readout, Region, keep_in, keep_out
from telos.errors import UnknownName
from telos.types import World
from telos.worlds import Rooms
from telos.worlds.layouts import DOOR_HALF
from telos.worlds.rooms import IDS, REACHED

if TYPE_CHECKING:
    from telos.model import Model

START_CLEAR = 3.0  # px from the start to the zone's border
SPOT = 0.5  # px between the centres that are tried
_STREAM = 0x7A6F6E65  # keeps the zones' random numbers apart from those of the tasks


class GuardrailProtocol(Protocol):
    """Forbids something in every task of an evaluation."""

    def seeds(self, world: World, first: int, count: int) -> list[int]:
        """The first `count` seeds from `first` on whose tasks it applies to. May reset the world."""
        ...

    def guardrails(self, model: Model, world: World, seeds: Sequence[int]) -> tuple[ReadingGuardrail, ...]:
        """The guardrails of the tasks that `world` has just begun from these seeds."""
        ...


@dataclass(frozen=True)
class Regions:
    """The same regions in every task: `outside` are forbidden, `inside` must not be left.

    Each is a pair of a reading's name and a region of it. `buffer` is how far inside the allowed region
    plans must stay, in the reading's units.
    """

    outside: tuple[tuple[str, Region], ...] = ()
    inside: tuple[tuple[str, Region], ...] = ()
    buffer: float = 0.0

    def seeds(self, world: World, first: int, count: int) -> list[int]:
        """All seeds."""
        return [*range(first, first + count)]

    def guardrails(self, model: Model, world: World, seeds: Sequence[int]) -> tuple[ReadingGuardrail, ...]:
        """One per region."""
        sides = [(pair, False) for pair in self.outside] + [(pair, True) for pair in self.inside]
        return tuple(
            built(model, world, name, region, inside=inside, buffer=self.buffer)
            for (name, region), inside in sides
        )


@dataclass(frozen=True)
class Across:
    """Rooms only: a disc across the straight way of each task, which must be walked around.

    Its centre lies on the shortest way from start to goal (by the corners of doors). Start, goal (with the
    radius of success) and doors are clear of it, and a grid search over the free floor finds a way
    that keeps `clearance` from it. Tasks whose way is too short for that are passed over. A task's zone
    depends on its seed alone.

    Args:
        radius: the range that it is drawn from, in pixels.
        clearance: how far the way round stays from the disc, in pixels.
        buffer: how far from the disc plans must stay, in pixels; what the model's errors are to be
            covered by. Violations are measured against the disc itself.
    """

    radius: tuple[float, float] = (5.0, 7.0)
    clearance: float = 3.0
    buffer: float = 2.0

    def __post_init__(self) -> None:
        if not 0 < self.radius[0] <= self.radius[1] or self.clearance < 0:
            raise ValueError(
                "radius must be an increasing pair of positive numbers and clearance at least 0; got "
                f"{self.radius} and {self.clearance}."
            )

    def seeds(self, world: World, first: int, count: int) -> list[int]:
        """The first seeds from `first` on in whose tasks a zone fits."""
        found: list[int] = []
        last = first + 100 * (count + world.num)
        while len(found) < count:
            if first >= last:
                raise ValueError(
                    f"radius and clearance must leave a way round in some tasks; found {len(found)} of "
                    f"{count} with {self}. Make them smaller."
                )
            batch = [*range(first, first + world.num)]
            world.reset(batch, split="heldout", task=True)
            _, radii = self.discs(world, batch)
            found += [seed for seed, radius in zip(batch, radii, strict=True) if radius > 0]
            first += world.num
        return found[:count]

    def guardrails(self, model: Model, world: World, seeds: Sequence[int]) -> tuple[ReadingGuardrail, ...]:
        """One guardrail with a disc per task. `ValueError` where none fits."""
        centers, radii = self.discs(world, seeds)
        if (radii <= 0).any():
            raise ValueError(
                f"seeds must be of tasks in which a zone fits, as Across.seeds finds them; got {seeds}."
            )
        region = Disc(torch.from_numpy(centers).float(), torch.from_numpy(radii).float())
        return (built(model, world, "agent_xy", region, inside=False, buffer=self.buffer),)

    def discs(self, world: World, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Centres `[num, 2]` and radii `[num]` for the tasks just begun; radius 0 where none fits."""
        if not isinstance(world, Rooms):
            raise ValueError(
                f"the protocol 'across' knows the ways of Rooms only; got {world.id}. Give regions of its "
                "readings instead (Regions, or --keep-out)."
            )
        starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
        layouts = world.layouts()
        ways = world.waypoints(starts, goals, layouts)
        floor: FreeFloor | None = None
        centers, radii = np.zeros((world.num, 2)), np.zeros(world.num)
        for copy, seed in enumerate(seeds):
            random = np.random.default_rng([_STREAM, int(seed)])
            doors = IDS[world.id]().floor(int(layouts[copy])).doors
            radius = float(random.uniform(*self.radius))
            spots = along(ways[copy], SPOT)
            clear = np.minimum(
                np.linalg.norm(spots - starts[copy], axis=1) - START_CLEAR,
                np.linalg.norm(spots - goals[copy], axis=1) - REACHED,
            )
            door = np.linalg.norm(spots[:, None] - doors, axis=-1).min(axis=1) - DOOR_HALF
            for spot in random.permutation(spots[np.minimum(clear, door) > radius]):
                floor = floor or FreeFloor(world)
                if floor.connects(copy, starts[copy], goals[copy], Disc(spot, radius), self.clearance):
                    centers[copy], radii[copy] = spot, radius
                    break
        return centers, radii


class FreeFloor:
    """The free floor of a batch of Rooms on a grid of one pixel, for breadth-first search."""

    def __init__(self, world: Rooms) -> None:
        height, width, _ = world.frame_shape
        ys, xs = np.mgrid[0:height, 0:width]
        self._points = np.stack([xs, ys], axis=-1).astype(np.float64)
        nodes = np.broadcast_to(self._points, (world.num, *self._points.shape))
        self._world = world
        self._open = {}
        for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = world.true_step(nodes, np.broadcast_to(np.array(step, float), nodes.shape))
            self._open[step] = np.abs(there - nodes - step).max(axis=-1) < 1e-6

    def connects(
        self, copy: int, start: np.ndarray, goal: np.ndarray, region: Region, clearance: float
    ) -> bool:
        """Whether a way from `start` to `goal` `[2]` stays further than `clearance` from a region."""
        free = region.signed_distance(torch.from_numpy(self._points)).numpy() > clearance
        reached = free & (np.linalg.norm(self._points - start, axis=-1) < 1.0)
        wanted = np.linalg.norm(self._points - goal, axis=-1) < 1.0
        while not (reached & wanted).any():
            grown = reached.copy()
            for (x, y), way in self._open.items():
                grown |= np.roll(reached & way[copy], (y, x), axis=(0, 1)) & free
            if (grown == reached).all():
                return False
            reached = grown
        return True


def along(way: np.ndarray, spacing: float) -> np.ndarray:
    """Points `[n, 2]` at most `spacing` apart along a polyline `[P, 2]`."""
    pieces = []
    for a, b in pairwise(way):
        count = max(int(np.ceil(np.linalg.norm(b - a) / spacing)), 1)
        pieces.append(a + np.linspace(0, 1, count, endpoint=False)[:, None] * (b - a))
    return np.concatenate([*pieces, way[-1:]])


def built(
    model: Model, world: World, name: str, region: Region, *, inside: bool, buffer: float
) -> ReadingGuardrail:
    """A guardrail on a reading that the model reads and the world knows."""
    if name not in model.readouts:
        raise UnknownName("readout of the model", name, model.readouts)
    if name not in world.readings:
        raise UnknownName(f"reading of {world.id}", name, world.readings)
    build = keep_in if inside else keep_out
    readout = model.readouts[name]
    assert isinstance(readout, Readout)
    return build(readout, region, name=name, buffer=buffer, substeps=4 * model.config.action_space.block)
