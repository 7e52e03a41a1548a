"""Reading TwoRooms from pixels whatever moves on its floor: for an oracle in the worlds with distractors.

What it relies on is that walls have one colour, that nothing is as red as the dot, and that the dot is drawn
as a Gaussian of known width and colour over a floor that is smooth around it.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from telos.worlds.layouts import DOORS, SIZE, WALLS, TwoRooms, px
from telos.worlds.painting import DOT_COLOUR, DOT_STD, WALL_COLOUR, background, bare_floor

_INNER = slice(5, 59)  # rows and columns clear of the border
_REACH = 5  # px: how far from its centre the dot is looked at
_BLIND = 3.5  # px: nearer to the dot, walls are not looked for
_STEPS = 8
_FULL = 0.995  # the share of a pixel from which it counts as wall
_AXIS = np.arange(SIZE)


def see(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What frames `[n, 64, 64, 3]` show, in pixels: dots `[n, 2]`, walls' x `[n]` and doors' y `[n]`."""
    frames = frames.astype(np.float64)
    brightest = frames[..., 0].reshape(len(frames), -1).argmax(axis=1)
    near = np.stack([brightest % SIZE, brightest // SIZE], axis=1)
    wall, door = _layout(frames, near)
    return _dots(frames, near), wall, door


def _layout(frames: np.ndarray, dots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Walls' x and doors' y `[n]`: of the layouts there are, the one whose wall's colour is in its place."""
    columns, rows = _templates()
    far = np.hypot(_AXIS - dots[:, 0, None, None], _AXIS[:, None] - dots[:, 1, None, None]) > _BLIND
    solid = np.abs(frames - WALL_COLOUR).max(axis=-1) < 4
    seen = np.where(far, solid, 0.5)
    wall = ((seen[:, _INNER].mean(axis=1) - 0.25) @ columns.T).argmax(axis=1)
    share = columns[wall] / columns[wall].sum(axis=1, keepdims=True)
    down = (seen * share[:, None]).sum(axis=2) - 0.5
    door = (down[:, _INNER] @ rows[:, _INNER].T).argmax(axis=1)
    return np.array([px(at) for at in WALLS])[wall], np.array([px(at) for at in DOORS])[door]


@cache
def _templates() -> tuple[np.ndarray, np.ndarray]:
    """Which columns each wall fills, `[25, 64]`, 0 or 1, and what each row is for each door, `[45, 64]`.

    A row is 1 where it is wall, -1 where it is not, and 0 where it is so nearly filled that it may look so.
    """
    walls = np.stack([_cover(wall * len(DOORS)) for wall in range(len(WALLS))])
    columns = np.median(walls[:, _INNER], axis=1) > _FULL
    columns[:, : _INNER.start] = columns[:, _INNER.stop :] = False
    middle = columns[0].argmax()
    rows = np.stack([_cover(door)[:, middle] for door in range(len(DOORS))])
    unclear = (rows > 0.8) & (rows < _FULL)
    return columns.astype(np.float64), np.where(unclear, 0.0, np.where(rows < _FULL, -1.0, 1.0))


def _cover(layout: int) -> np.ndarray:
    return 1 - bare_floor(background(TwoRooms.floor(layout)))


def _dots(frames: np.ndarray, near: np.ndarray) -> np.ndarray:
    """The dots' centres `[n, 2]`, by Gauss-Newton from the pixels `near` `[n, 2]`.

    A pixel is a share of the dot and a rest of floor. The floor is what the pixels around it show, each
    weighted by how little of the dot is in it; errors are weighted by how much of the floor is.
    """
    corner = np.clip(near - _REACH, 0, SIZE - 1 - 2 * _REACH)
    offsets = np.stack(np.meshgrid(*[np.arange(2 * _REACH + 1)] * 2), axis=-1).reshape(-1, 2)
    points = corner[:, None] + offsets  # [n, P, 2]
    values = frames[np.arange(len(frames))[:, None], points[..., 1], points[..., 0]]
    kernel = np.exp(-((offsets[:, None] - offsets) ** 2).sum(-1) / (2 * 2.0**2))
    place = near.astype(np.float64)
    for _ in range(_STEPS):
        offset = points - place[:, None]
        share = np.exp(-(offset**2).sum(-1) / (2 * DOT_STD**2))
        clear = (1 - share) ** 4
        floor = (kernel @ (clear[..., None] * values)) / (kernel @ clear[..., None])
        contrast = DOT_COLOUR - floor
        error = values - floor - share[..., None] * contrast
        slope = (share[..., None] * offset / DOT_STD**2)[..., None, :] * contrast[..., None]  # [n, P, 3, 2]
        weight = 1 / (0.02 + (1 - share) ** 2)[..., None, None]
        normal = np.einsum("npci,npcj->nij", slope * weight, slope)
        gradient = np.einsum("npci,npc->ni", slope * weight, error)
        move = np.linalg.solve(normal + 1e-3 * np.eye(2), gradient[..., None])[..., 0]
        place = place + np.clip(move, -1, 1)
    return np.clip(place, near - 1.5, near + 1.5)
