"""Goals and regions as one line of text, for the command line."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from telos.cost.regions import Box, Disc, Region
from telos.errors import UnknownName

GOAL_GRAMMAR = "READING=VALUE,VALUE,... (for instance agent_xy=10,50; '_' stands for any value)"
REGION_GRAMMAR = (
    "READING:box:LOWS,HIGHS or READING:disc:CENTER,RADIUS "
    "(for instance agent_xy:box:20,30,34,40 or agent_xy:disc:32,32,6)"
)


def parse_goal(text: str) -> tuple[str, Tensor]:
    """`"agent_xy=10,50"` to the reading's name and the value `[k]` to reach; NaN where it says `_`."""
    name, found, values = text.partition("=")
    name = name.strip()
    if not found or not name:
        raise ValueError(f"a goal must read {GOAL_GRAMMAR}; got {text!r}.")
    numbers = [math.nan if value.strip() == "_" else _number(value, text) for value in values.split(",")]
    if not any(math.isfinite(number) for number in numbers) or math.inf in map(abs, numbers):
        raise ValueError(f"a goal must name at least one value, and none infinite; got {text!r}.")
    return name, torch.tensor(numbers)


def parse_region(text: str) -> tuple[str, Region]:
    """`"agent_xy:box:20,30,34,40"` or `"agent_xy:disc:32,32,6"` to the reading's name and the region.

    A box in k dimensions gives k lows, then k highs (`inf` and `-inf` are allowed); a disc its center,
    then its radius.
    """
    parts = [part.strip() for part in text.split(":")]
    if len(parts) != 3 or not parts[0]:
        raise ValueError(f"a region must read {REGION_GRAMMAR}; got {text!r}.")
    name, shape, values = parts
    shapes: dict[str, Callable[[list[float], str], Region]] = {"box": _box, "disc": _disc}
    if shape not in shapes:
        raise UnknownName("shape of a region", shape, shapes)
    numbers = [_number(value, text) for value in values.split(",")]
    return name, shapes[shape](numbers, text)


def _box(numbers: list[float], text: str) -> Box:
    half, rest = divmod(len(numbers), 2)
    if rest:
        raise ValueError(
            "a box needs as many lows as highs: READING:box:LOWS,HIGHS; got "
            f"{len(numbers)} numbers in {text!r}."
        )
    return Box(numbers[:half], numbers[half:])


def _disc(numbers: list[float], text: str) -> Disc:
    if len(numbers) < 2:
        raise ValueError(f"a disc needs a center and a radius: READING:disc:CENTER,RADIUS; got {text!r}.")
    return Disc(numbers[:-1], numbers[-1])


def _number(value: str, text: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"numbers must be separated by commas; got {value.strip()!r} in {text!r}.") from None
    if math.isnan(number):
        raise ValueError(f"numbers must not be NaN; got {text!r}.")
    return number
