"""How Rooms looks: a bright dot on a dark floor, walls and hazards in colours of their own."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from telos.worlds.layouts import BORDER, SCALE, SIZE, Floor

FLOOR_COLOUR = (14, 16, 24)
WALL_COLOUR = (52, 84, 150)
HAZARD_COLOUR = (120, 24, 64)
DOT_COLOUR = (255, 226, 120)
DOT_STD = 1.3 * SCALE
_PATCH = 11  # px: at five pixels from its centre the dot adds less than half a grey level
_DOT = np.array(DOT_COLOUR, dtype=np.float32)
_OFFSETS = np.arange(_PATCH, dtype=np.float32)


def background(floor: Floor) -> np.ndarray:
    """The empty rooms, uint8 `[64, 64, 3]`; walls are 3/65 of the width thick, as in the 65 px original."""
    extra = 0.5 * SCALE  # drawn to the outer edge of the pixels that the original fills
    cover = np.zeros((SIZE, SIZE))
    for left, top, right, bottom in floor.walls:
        along = (left - extra, right + extra) if right - left < bottom - top else (left, right)
        across = (top, bottom) if right - left < bottom - top else (top - extra, bottom + extra)
        cover = np.maximum(cover, _overlap(*across)[:, None] * _overlap(*along)[None])
    outside = ~(_within(BORDER[0], BORDER[2])[None] & _within(BORDER[1], BORDER[3])[:, None])
    frame = (_overlap(BORDER[0] - extra, BORDER[2] + extra), _overlap(BORDER[1] - extra, BORDER[3] + extra))
    inner = (
        _overlap(BORDER[0] + extra, BORDER[2] - extra)[None]
        * _overlap(BORDER[1] + extra, BORDER[3] - extra)[:, None]
    )
    ring = frame[1][:, None] * frame[0][None] - inner
    cover = np.where(outside, 0.0, cover)
    cover = np.clip(np.maximum(cover, ring), 0.0, 1.0)[..., None]
    return _blend(np.broadcast_to(np.float64(FLOOR_COLOUR), (SIZE, SIZE, 3)), WALL_COLOUR, cover)


def paint_hazards(image: np.ndarray, centers: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """A background with discs drawn on its floor: centres `[H, 2]`, radii `[H]`, in pixels."""
    axis = np.arange(SIZE)
    points = np.stack(np.meshgrid(axis, axis), axis=-1)[:, :, None]
    depth = radii - np.linalg.norm(points - centers, axis=-1)
    cover = np.clip(depth + 0.5, 0.0, 1.0).max(axis=-1, keepdims=True)
    floor, wall = np.float64(FLOOR_COLOUR), np.float64(WALL_COLOUR)
    bare = 1.0 - (image - floor)[..., 2:] / (wall - floor)[2]  # hazards lie on the floor, under the walls
    return _blend(image.astype(np.float64), HAZARD_COLOUR, 0.85 * cover * bare)


def paint_dots(backgrounds: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Frames: uint8 backgrounds `[n, 64, 64, 3]` with a Gaussian dot at each position `[n, 2]`."""
    frames = backgrounds.copy()
    corner = np.clip(np.rint(positions).astype(np.intp) - _PATCH // 2, 0, SIZE - _PATCH)
    offset = (positions - corner).astype(np.float32)
    table = np.exp((_OFFSETS - offset[..., None]) ** 2 * np.float32(-0.5 / DOT_STD**2))
    weight = table[:, 1, :, None, None] * table[:, 0, None, :, None]
    reach = SIZE - _PATCH + 1
    s = frames.strides
    patches = as_strided(frames, (len(frames), reach, reach, _PATCH, _PATCH, 3), (*s[:3], *s[1:]))
    index = (np.arange(len(frames)), corner[:, 1], corner[:, 0])
    patch = patches[index].astype(np.float32)
    patch += weight * (_DOT - patch)
    patch += 0.5
    patches[index] = patch.astype(np.uint8)
    return frames


def _overlap(low: float, high: float) -> np.ndarray:
    """How much of each pixel `[64]` lies between two coordinates."""
    axis = np.arange(SIZE)
    return np.clip(np.minimum(axis + 0.5, high) - np.maximum(axis - 0.5, low), 0.0, 1.0)


def _within(low: float, high: float) -> np.ndarray:
    axis = np.arange(SIZE)
    return (axis >= low - 0.5) & (axis <= high + 0.5)


def _blend(image: np.ndarray, colour: tuple[int, int, int], cover: np.ndarray) -> np.ndarray:
    return np.rint(image + cover * (np.float64(colour) - image)).astype(np.uint8)
