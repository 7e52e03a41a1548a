"""Where the walls, doors and rooms are: the layout families of Rooms.

The world of PLDM (arXiv 2502.14819) and of EB-JEPA's random-wall protocol (arXiv 2602.03604) is drawn on
65 px; `px` carries its positions over to 64 px and `SCALE` its lengths, so everything is the same world.
Layouts are numbered by the integer positions of walls and doors on that 65 px grid.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import numpy as np

GRID = 65
SIZE = 64
SCALE = SIZE / GRID

WALL_HALF = 1.0 * SCALE  # half the thickness that stops the dot; drawn 3/65 wide
DOOR_HALF = 4.0 * SCALE
PADDING = 2 * 1.3 * SCALE  # starts and goals of a task keep two widths of the dot from every wall
WALLS = range(20, GRID - 20)
DOORS = range(10, GRID - 10)
_CROSSING = 7  # doors of FourRooms stay this far (65 px grid) from where the walls cross


def px(position: float) -> float:
    """A position on the 65 px grid, in pixels of the 64 px frame (pixel 0 has its centre at 0)."""
    return (position + 0.5) * SCALE - 0.5


BORDER = np.array([px(4), px(4), px(60), px(60)])  # left, top, right, bottom


def heldout(layout: int) -> bool:
    """Whether a layout belongs to the held-out side: a fixed hash sends one layout in five there."""
    mask = (1 << 64) - 1
    value = (int(layout) + 0x9E3779B97F4A7C15) & mask
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & mask
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & mask
    return (value ^ (value >> 31)) % 5 == 0


@dataclass(frozen=True, eq=False)
class Floor:
    """One layout: solid boxes `walls` `[R, 4]`, `rooms` `[M, 4]`, door centres `doors` `[Q, 2]`, in pixels.

    `adjacent` `[P, 2]` are the pairs of rooms between which tasks are set.
    """

    walls: np.ndarray
    rooms: np.ndarray
    doors: np.ndarray
    adjacent: np.ndarray


class Layouts(Protocol):
    """A family of layouts."""

    def draw(self, rng: np.random.Generator) -> int:
        """The number of a random layout."""
        ...

    def floor(self, layout: int) -> Floor:
        """What a layout looks like."""
        ...


class TwoRooms:
    """A vertical wall with one door: 25 wall by 45 door positions, 1,125 layouts."""

    def draw(self, rng: np.random.Generator) -> int:
        """A wall and a door position, uniform."""
        return int(rng.integers(len(WALLS) * len(DOORS)))

    @staticmethod
    @lru_cache(maxsize=2048)
    def floor(layout: int) -> Floor:
        """The floor of layout `wall index * 45 + door index`."""
        if not 0 <= layout < len(WALLS) * len(DOORS):
            raise ValueError(f"layout must be in [0, {len(WALLS) * len(DOORS)}); got {layout}.")
        wall, door = px(WALLS[layout // len(DOORS)]), px(DOORS[layout % len(DOORS)])
        return Floor(
            walls=_pieces(wall, (door,)),
            rooms=_rooms((BORDER[0], wall, BORDER[2]), (BORDER[1], BORDER[3])),
            doors=np.array([[wall, door]]),
            adjacent=np.array([[0, 1], [1, 0]]),
        )


class OneFloor(TwoRooms):
    """TwoRooms with the wall in the middle and one door, always: LeWM's TwoRoom (arXiv 2603.19312).

    The numbers differ between episodes all the same, so that some are held out; what is held out is where
    the dot goes, not where the wall is.
    """

    @staticmethod
    @lru_cache(maxsize=2048)
    def floor(layout: int) -> Floor:
        """The one floor there is."""
        if not 0 <= layout < len(WALLS) * len(DOORS):
            raise ValueError(f"layout must be in [0, {len(WALLS) * len(DOORS)}); got {layout}.")
        return TwoRooms.floor(WALLS.index(GRID // 2) * len(DOORS) + DOORS.index(GRID // 4))


class FourRooms:
    """A vertical and a horizontal wall that cross, and a door in each of the four half-walls."""

    def draw(self, rng: np.random.Generator) -> int:
        """Both walls uniform, then each door uniform over its half-wall, clear of the crossing."""
        wall_x, wall_y = rng.integers(WALLS.start, WALLS.stop, size=2)
        numbers = [
            wall_x,
            wall_y,
            rng.integers(DOORS.start, wall_y - _CROSSING + 1),  # up
            rng.integers(wall_y + _CROSSING, DOORS.stop),  # down
            rng.integers(DOORS.start, wall_x - _CROSSING + 1),  # left
            rng.integers(wall_x + _CROSSING, DOORS.stop),  # right
        ]
        layout = 0
        for number in numbers:
            layout = layout * GRID + int(number)
        return layout

    @staticmethod
    @lru_cache(maxsize=2048)
    def floor(layout: int) -> Floor:
        """The floor of a layout: its six positions are the digits of the number in base 65."""
        x, y, up, down, left, right = (px(layout // GRID**i % GRID) for i in range(5, -1, -1))
        if not 0 <= layout < GRID**6 or not up < y < down or not left < x < right:
            raise ValueError(f"layout must be a number that FourRooms draws; got {layout}.")
        turned = _pieces(y, (left, right))[:, [1, 0, 3, 2]]
        return Floor(
            walls=np.concatenate([_pieces(x, (up, down)), turned]),
            rooms=_rooms((BORDER[0], x, BORDER[2]), (BORDER[1], y, BORDER[3])),
            doors=np.array([[x, up], [x, down], [left, y], [right, y]]),
            adjacent=np.array([[0, 1], [1, 0], [2, 3], [3, 2], [0, 2], [2, 0], [1, 3], [3, 1]]),
        )


def _pieces(wall: float, doors: tuple[float, ...]) -> np.ndarray:
    """The solid boxes of a vertical wall at x = `wall` with doors at these heights, border to border."""
    ends = [-1.0, *(end for door in doors for end in (door - DOOR_HALF, door + DOOR_HALF)), float(SIZE)]
    return np.array(
        [[wall - WALL_HALF, a, wall + WALL_HALF, b] for a, b in zip(ends[::2], ends[1::2], strict=True)]
    )


def _rooms(xs: tuple[float, ...], ys: tuple[float, ...]) -> np.ndarray:
    """The boxes between consecutive walls, row by row, without the thickness of the inner walls."""

    def spans(walls: tuple[float, ...]) -> list[tuple[float, float]]:
        inner = [(wall - WALL_HALF, wall + WALL_HALF) for wall in walls[1:-1]]
        edges = [walls[0], *(edge for pair in inner for edge in pair), walls[-1]]
        return list(zip(edges[::2], edges[1::2], strict=True))

    return np.array([[left, top, right, bottom] for top, bottom in spans(ys) for left, right in spans(xs)])
