"""Random windows per CPU-second: 16 frames of 64x64x3 from 100,000 frames on disk.

    python -m benchmarks.data [--quick]

The last line is one JSON object. `windows_per_cpu_second` is for consecutive frames, `..._stride_4` for
every fourth frame; each is the median of the rounds, user and system time of this one thread. The
batches are kept for a moment, as training does, so every one is in memory of its own. Checksums are
checked before, once per store: `verify_cpu_seconds`.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import deque
from pathlib import Path

import numpy as np
import torch

from benchmarks.meter import cpu_seconds
from telos.data import Episode, EpisodeStore, Schema, Windows
from telos.types import ActionSpace, Reading

STEPS = 200
BATCH = 64


def fill(path: Path, frames: int) -> None:
    """Write `frames` random frames, in episodes of `STEPS` actions."""
    random = np.random.default_rng(0)
    schema = Schema((64, 64, 3), ActionSpace((-1.0, -1.0), (1.0, 1.0)), {"agent_xy": Reading(2, "px")})
    noise = random.integers(0, 256, (STEPS + 1, 64, 64, 3), np.uint8)
    with EpisodeStore.create(path, schema) as store:
        while store.num_frames < frames:
            actions = random.standard_normal((STEPS, 2), np.float32)
            readings = {"agent_xy": random.random((STEPS + 1, 2), np.float32)}
            store.append([Episode(np.roll(noise, len(store)), actions, readings)] * 10)


def measure(store: EpisodeStore, *, stride: int, rounds: int, seconds: float) -> float:
    """Windows per CPU-second, the median of the rounds."""
    windows = Windows(store, length=16, stride=stride)
    generator = torch.Generator().manual_seed(0)
    kept = deque(maxlen=2)
    rates = []
    for _ in range(rounds + 1):
        start, count = cpu_seconds(), 0
        while cpu_seconds() - start < seconds:
            for _ in range(5):
                kept.append(windows.sample(BATCH, generator))
                count += BATCH
        rates.append(count / (cpu_seconds() - start))
    return statistics.median(rates[1:])  # the first round brings the files to memory


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description="Random windows per CPU-second.")
    parser.add_argument("--quick", action="store_true", help="20,000 frames and shorter rounds")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    frames = 20_000 if quick else 100_000
    rounds, seconds = (3, 0.5) if quick else (5, 2.0)
    with tempfile.TemporaryDirectory() as folder:
        print(f"writing {frames} frames to {folder}", file=sys.stderr)
        start = cpu_seconds()
        fill(Path(folder) / "store", frames)
        written = cpu_seconds()
        store = EpisodeStore.open(Path(folder) / "store")
        store.verify()
        verified = cpu_seconds()
        result = {
            "windows_per_cpu_second": round(measure(store, stride=1, rounds=rounds, seconds=seconds)),
            "windows_per_cpu_second_stride_4": round(
                measure(store, stride=4, rounds=rounds, seconds=seconds)
            ),
            "frames": store.num_frames,
            "window": [16, 64, 64, 3],
            "batch": BATCH,
            "write_cpu_seconds": round(written - start, 2),
            "verify_cpu_seconds": round(verified - written, 2),
            "quick": quick,
        }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
