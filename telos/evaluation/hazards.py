"""Hazards of several shapes across the way of each task: what a calibrated guardrail is measured on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch

from telos.cost import Box, Disc, ReadingGuardrail, Union
from telos.evaluation.zones import SPOT, START_CLEAR, FreeFloor, along, built
from telos.types import World
from telos.worlds import Rooms
from telos.worlds.layouts import DOOR_HALF
from telos.worlds.rooms import IDS, REACHED

if TYPE_CHECKING:
    from telos.model import Model

KINDS = ("disc", "two discs", "bar")
_STREAM = 0x68617A64  # keeps the hazards' random numbers apart from those of the tasks
_NOWHERE = -1e3  # px: where the shapes are that a task does not have
_TRIES = 12  # places that are tried per task: a search over the floor each


@dataclass(frozen=True)
class Hazards:
    """Rooms only: one of three shapes per task, by its seed, over the straight way from start to goal.

    A disc; two smaller discs, of which the way must avoid both; or a bar, upright or lying, across the way.
    Start, goal (with the radius of success) and doors are clear of them, and a grid search over the free
    floor finds a way that keeps `clearance`. Tasks in which the shape does not fit are passed over. What is
    forbidden depends on a task's seed alone.

    Args:
        clearance: how far the way round stays from what is forbidden, in pixels.
        buffer: how far plans must stay from it, in pixels. Violations are measured against the shapes
            themselves.
    """

    clearance: float = 3.0
    buffer: float = 0.0

    def seeds(self, world: World, first: int, count: int) -> list[int]:
        """The first seeds from `first` on in whose tasks the hazard fits."""
        found: list[int] = []
        last = first + 100 * (count + world.num)
        while len(found) < count:
            if first >= last:
                raise ValueError(f"clearance must leave a way round in some tasks; got {self.clearance}.")
            batch = [*range(first, first + world.num)]
            world.reset(batch, split="heldout", task=True)
            found += [seed for seed, shapes in zip(batch, self._draw(world, batch), strict=True) if shapes]
            first += world.num
        return found[:count]

    def guardrails(self, model: Model, world: World, seeds: Sequence[int]) -> tuple[ReadingGuardrail, ...]:
        """One guardrail, whose region is a union of shapes per task. `ValueError` where none fits."""
        discs, boxes = [], []
        for seed, shapes in zip(seeds, self._draw(world, seeds), strict=True):
            if shapes is None:
                raise ValueError(f"seeds must be those that Hazards.seeds finds; nothing fits in {seed}.")
            discs.append(shapes.discs)
            boxes.append(shapes.box)
        first, second = torch.tensor(np.array(discs)).float().unbind(1)
        low, high = torch.tensor(np.array(boxes)).float().unbind(1)
        region = Union(Disc(first[:, :2], first[:, 2]), Disc(second[:, :2], second[:, 2]), Box(low, high))
        return (built(model, world, "agent_xy", region, inside=False, buffer=self.buffer),)

    def _draw(self, world: World, seeds: Sequence[int]) -> list[_Shapes | None]:
        """What is forbidden in each of the tasks just begun; None where it does not fit."""
        if not isinstance(world, Rooms):
            raise ValueError(f"these hazards know the ways of Rooms only; got {world.id}.")
        starts, goals = world.read()["agent_xy"], world.goal_readings()["agent_xy"]
        layouts = world.layouts()
        floor = FreeFloor(world)
        found: list[_Shapes | None] = []
        for copy, way in enumerate(world.waypoints(starts, goals, layouts)):
            random = np.random.default_rng([_STREAM, int(seeds[copy])])
            doors = IDS[world.id]().floor(int(layouts[copy])).doors
            tries = _shapes(kind_of(seeds[copy]), along(way, SPOT), random)
            clear = (
                shapes
                for shapes in tries
                if shapes.distance(starts[copy][None]) > START_CLEAR
                and shapes.distance(goals[copy][None]) > REACHED
                and shapes.distance(doors) > DOOR_HALF
            )
            fitting = (
                shapes
                for shapes in islice(clear, _TRIES)
                if floor.connects(copy, starts[copy], goals[copy], shapes.region, self.clearance)
            )
            found.append(next(fitting, None))
        return found


def kind_of(seed: int) -> str:
    """Which of `KINDS` the task of this seed has."""
    return KINDS[seed % len(KINDS)]


@dataclass(frozen=True)
class _Shapes:
    """Two discs (x, y, radius) and a box (low, high); those that a task does not have are far away."""

    discs: tuple[tuple[float, float, float], tuple[float, float, float]]
    box: tuple[tuple[float, float], tuple[float, float]]

    @property
    def region(self) -> Union:
        return Union(*(Disc(disc[:2], disc[2]) for disc in self.discs), Box(*self.box))

    def distance(self, points: np.ndarray) -> float:
        """From the nearest of some points `[n, 2]`."""
        return float(self.region.signed_distance(torch.from_numpy(points).double()).min())


def _shapes(kind: str, spots: np.ndarray, random: np.random.Generator) -> Iterator[_Shapes]:
    """Shapes of one kind over random spots `[n, 2]` of a way."""
    none, nothing = (_NOWHERE, _NOWHERE, 0.0), ((_NOWHERE, _NOWHERE), (_NOWHERE, _NOWHERE))
    if kind == "disc":
        radius = random.uniform(5.0, 7.0)
        for x, y in random.permutation(spots):
            yield _Shapes(((x, y, radius), none), nothing)
    elif kind == "two discs":
        radii = random.uniform(3.0, 5.0, 2)
        for first, second in zip(random.permutation(spots), random.permutation(spots), strict=True):
            if np.linalg.norm(first - second) > radii.sum():
                yield _Shapes(((*first, radii[0]), (*second, radii[1])), nothing)
    else:
        half = np.array([random.uniform(1.0, 2.0), random.uniform(4.0, 8.0)])
        half = half[:: random.choice([1, -1])]
        for spot in random.permutation(spots):
            yield _Shapes((none, none), (tuple(spot - half), tuple(spot + half)))
