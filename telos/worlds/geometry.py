"""Motion among axis-aligned walls: where a straight step stops, and the shortest way round.

Points are `[..., 2]` (x right, y down), boxes `[..., 4]` as (left, top, right, bottom); all are float64
pixels.
"""

from __future__ import annotations

import numpy as np

HAIR = 1e-3  # px: how far before a face a step stops
_TINY = 1e-12


def move(position: np.ndarray, action: np.ndarray, walls: np.ndarray, border: np.ndarray) -> np.ndarray:
    """Where a point is after one step: `position + action`, or a hair before the first face on the way.

    Nothing slides or bounces, and fast steps do not tunnel: the intersection is exact.

    Args:
        position: `[..., 2]`, outside the walls and inside the border.
        action: `[..., 2]`, the displacement.
        walls: `[..., R, 4]`, solid boxes; leading dimensions broadcast with those of `position`.
        border: `[4]`, the box that holds everything.
    """
    share = free_share(position, action, walls, border)
    return position + share[..., None] * action


def free_share(position: np.ndarray, action: np.ndarray, walls: np.ndarray, border: np.ndarray) -> np.ndarray:
    """The share `[...]` in [0, 1] of a step that is free of contact; arguments as for `move`."""
    speed = np.where(np.abs(action) < _TINY, _TINY, action)
    hair = HAIR / np.abs(speed)
    face = np.where(speed > 0, border[2:], border[:2])
    share = ((face - position) / speed - hair).min(axis=-1)
    origin, rate, back = position[..., None, :], speed[..., None, :], hair[..., None, :]
    first = (walls[..., :2] - origin) / rate
    second = (walls[..., 2:] - origin) / rate
    enter, leave = np.minimum(first, second), np.maximum(first, second)
    by_x = enter[..., 0] > enter[..., 1]
    touch = np.where(by_x, enter[..., 0], enter[..., 1])
    gap = np.where(by_x, back[..., 0], back[..., 1])
    # From a point that rounding put on a face (penetration under 1e-6 px) the face still holds.
    hit = (touch < leave.min(axis=-1)) & (touch > -1e-3 * gap)
    stop = np.where(hit, touch - gap, 1.0).min(axis=-1)
    return np.clip(np.minimum(share, stop), 0.0, 1.0)


def inside(points: np.ndarray, boxes: np.ndarray, *, margin: float = 0.0) -> np.ndarray:
    """Whether points `[..., 2]` lie in any of the boxes `[..., R, 4]` grown by `margin`; bool `[...]`."""
    low, high = boxes[..., :2] - margin, boxes[..., 2:] + margin
    points = points[..., None, :]
    return np.asarray(((points > low) & (points < high)).all(axis=-1).any(axis=-1))


def shortest_path(
    start: np.ndarray, goal: np.ndarray, walls: np.ndarray, border: np.ndarray, *, clearance: float = 0.5
) -> np.ndarray:
    """The shortest polyline `[P, 2]` from `start` `[2]` to `goal` `[2]`, both included.

    It bends only at wall corners, at `clearance` px from them. The walls `[R, 4]` must leave a way.
    """
    grown = walls + clearance * np.array([-1.0, -1.0, 1.0, 1.0])
    corners = grown[:, [[0, 1], [0, 3], [2, 1], [2, 3]]].reshape(-1, 2)
    kept = ~inside(corners, walls, margin=clearance / 2) & inside(corners, border[None])
    nodes = np.concatenate([start[None], corners[kept], goal[None]]).astype(np.float64)
    steps = nodes[None] - nodes[:, None]
    share = free_share(np.broadcast_to(nodes[:, None], steps.shape), steps, walls, border)
    length = np.linalg.norm(steps, axis=-1)
    length = np.where((1.0 - share) * length < 50 * HAIR, length, np.inf)  # ends may lie on a face
    reach, came = length[0].copy(), np.zeros(len(nodes), dtype=int)
    for _ in range(len(nodes)):
        through = reach[:, None] + length
        best = through.argmin(axis=0)
        better = through.min(axis=0) < reach - 1e-9
        if not better.any():
            break
        reach, came = np.where(better, through.min(axis=0), reach), np.where(better, best, came)
    if not np.isfinite(reach[-1]):
        raise ValueError("goal must be reachable from start; the walls leave no way. Draw another layout.")
    way = [len(nodes) - 1]
    while way[-1] != 0:
        way.append(int(came[way[-1]]))
    return nodes[way[::-1]]
