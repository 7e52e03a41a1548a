"""How Rooms looks: a bright dot on a dark floor, walls and hazards in colours of their own."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from telos.worlds.layouts import BORDER, SCALE, SIZE, Floor

FLOOR_COLOUR = np.array([14.0, 16.0, 24.0])
WALL_COLOUR = np.array([52.0, 84.0, 150.0])
HAZARD_COLOUR = np.array([120.0, 24.0, 64.0])
DOT_COLOUR = np.array([255.0, 226.0, 120.0])
DOT_STD = 1.3 * SCALE
_LINE = 0.5 * SCALE  # the original fills whole pixels: half a pixel beyond a wall's face
_PATCH = 11  # px: at five pixels from its centre the dot adds less than half a grey level
_DOT = DOT_COLOUR.astype(np.float32)
_OFFSETS = np.arange(_PATCH, dtype=np.float32)


def background(floor: Floor) -> np.ndarray:
    """The empty rooms, uint8 `[64, 64, 3]`; walls are 3/65 of the width thick, as in the 65 px original."""
    cover = np.zeros((SIZE, SIZE))
    for left, top, right, bottom in floor.walls:
        upright = right - left < bottom - top
        x, y = (_LINE, 0.0) if upright else (0.0, _LINE)
        cover = np.maximum(cover, _box(left - x, top - y, right + x, bottom + y))
    out = np.array([-1.0, -1.0, 1.0, 1.0]) * _LINE
    room, house = _box(*(BORDER - out)), _box(*(BORDER + out))
    cover = np.maximum(cover * room, house - room)[..., None]
    return _blend(FLOOR_COLOUR, WALL_COLOUR, cover)


def bare_floor(images: np.ndarray) -> np.ndarray:
    """How much of each pixel `[..., 64, 64]` of backgrounds `[..., 64, 64, 3]` is floor, not wall."""
    return 1.0 - (images - FLOOR_COLOUR)[..., 2] / (WALL_COLOUR - FLOOR_COLOUR)[2]


def hazard_cover(centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """How much of each pixel `[64, 64]` of a floor hazards colour: centres `[H, 2]`, radii `[H]`, in px."""
    axis = np.arange(SIZE)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)[:, :, None]
    depth = radii - np.linalg.norm(points - centers, axis=-1)
    cover = np.clip(depth + 0.5, 0.0, 1.0).max(axis=-1) * _box(*BORDER)
    return 0.85 * cover


def paint_hazards(image: np.ndarray, cover: np.ndarray) -> np.ndarray:
    """A background with hazards on its floor, under the walls; `cover` `[64, 64]` is from `hazard_cover`."""
    return _blend(image, HAZARD_COLOUR, (cover * bare_floor(image))[..., None])


def paint_dots(backgrounds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Frames: uint8 backgrounds `[n, 64, 64, 3]` with a Gaussian dot at each position `[n, 2]`."""
    frames = backgrounds.copy()
    corner = np.clip(np.rint(positions).astype(np.intp) - _PATCH // 2, 0, SIZE - _PATCH)
    offset = (positions - corner).astype(np.float32)
    table = np.exp((_OFFSETS - offset[..., None]) ** 2 * np.float32(-0.5 / DOT_STD**2))
    weight = table[:, 1, :, None, None] * table[:, 0, None, :, None]
    # Every 11 x 11 window of every frame, as a view: one gather and one scatter draw all dots.
    reach, s = SIZE - _PATCH + 1, frames.strides
    windows = as_strided(frames, (len(frames), reach, reach, _PATCH, _PATCH, 3), (*s[:3], *s[1:]))
    index = (np.arange(len(frames)), corner[:, 1], corner[:, 0])
    patch = windows[index].astype(np.float32)
    patch += weight * (_DOT - patch)
    patch += 0.5
    windows[index] = patch.astype(np.uint8)
    return frames


def _box(left: float, top: float, right: float, bottom: float) -> np.ndarray:
    """How much of each pixel `[64, 64]` lies inside a box."""
    axis = np.arange(SIZE)
    across = np.clip(np.minimum(axis + 0.5, right) - np.maximum(axis - 0.5, left), 0.0, 1.0)
    down = np.clip(np.minimum(axis + 0.5, bottom) - np.maximum(axis - 0.5, top), 0.0, 1.0)
    return down[:, None] * across


def _blend(image: np.ndarray, colour: np.ndarray, cover: np.ndarray) -> np.ndarray:
    return np.rint(image + cover * (colour - image)).astype(np.uint8)
