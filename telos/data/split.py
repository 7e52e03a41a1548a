"""Which episodes are held out: a hash decides, so that the answer stays as episodes are appended.

While all share one layout, or no hash is small enough, it may still change: see `EpisodeStore.split`.
"""

from __future__ import annotations

import hashlib

import numpy as np


def split_groups(layouts: np.ndarray, heldout: float) -> tuple[np.ndarray, np.ndarray]:
    """Indices to train on and indices held out, for the layout of each episode `[n]` (-1: unknown).

    `ValueError` unless `0 <= heldout < 1`. See `EpisodeStore.split` for the rule.
    """
    if not 0 <= heldout < 1:
        raise ValueError(f"heldout must be at least 0 and below 1; got {heldout}.")
    layouts = np.asarray(layouts, np.int64)
    single = len(np.unique(layouts)) <= 1
    keys = [
        f"episode {index}" if single or layout == -1 else f"layout {layout}"
        for index, layout in enumerate(layouts.tolist())
    ]
    values = {key: _unit(key) for key in set(keys)}
    position = np.array([values[key] for key in keys], np.float64)
    out = position < heldout
    if heldout > 0 and not out.any() and len(values) > 1:
        out = position == position.min()
    return np.flatnonzero(~out), np.flatnonzero(out)


def _unit(key: str) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    digest = hashlib.blake2b(key.encode(), digest_size=8, person=b"telos split").digest()
    return int.from_bytes(digest, "little") / 2**64
