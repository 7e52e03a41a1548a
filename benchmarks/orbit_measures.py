"""What a model of Orbits knows of the six numbers, and how far ahead: the measurements of `six_numbers`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from telos import ssl
from telos.data import EpisodeStore
from telos.evaluation.foresight import Moments, foresee, linear_reading, moments, r_squared
from telos.model import Model
from telos.worlds import propagate
from telos.worlds.orbits import TIME_STEP

NUMBERS = ("x", "y", "z", "vx", "vy", "vz")
HELDOUT_SEED = 1  # of the orbits that are measured on
HORIZON = 100  # environment steps that are foreseen
POOLED = 4  # pixels a side that pictures are averaged over for the probe of pixels
STARTS = 5  # moments of each orbit that are foreseen from
PICTURED = 4  # orbits of which what was foreseen from the first moment on is kept, for pictures


def six(known: Moments) -> Tensor:
    """The six numbers of each moment, `[E, n, 6]`."""
    return torch.cat([known.readings["position"], known.readings["velocity"]], dim=-1)


def semi_major_axes(position: Any, velocity: Any) -> np.ndarray:
    """Each orbit's semi-major axis `[E]`, by the vis-viva equation: the star's parameter is 1.

    From place and velocity `[E, 3]` at any moment, in double precision.
    """
    position, velocity = np.asarray(position, np.float64), np.asarray(velocity, np.float64)
    return 1 / (2 / np.linalg.norm(position, axis=-1) - np.square(velocity).sum(-1))


def measure(model: Model, store: EpisodeStore, heldout: EpisodeStore, *, labelled: int) -> dict[str, Any]:
    """R² of the six by a linear probe, dimensions in use, and errors against the horizon.

    The probe is fitted on the frames of `labelled` training episodes of `store`, and everything is measured
    on all episodes of `heldout`, whose orbits occur nowhere else.
    """
    seen = moments(model, store, store.split()[0][:labelled])
    known = moments(model, heldout, np.arange(len(heldout)))
    read = linear_reading(seen.states.flatten(0, 1), six(seen).flatten(0, 1))
    guess = read(known.states.flatten(0, 1)).unflatten(0, known.states.shape[:2])
    r2 = r_squared(guess, six(known))
    block = model.config.action_space.block
    foreseen = foresee(
        model,
        heldout,
        known,
        lambda states: read(states)[:, :3],
        "position",
        horizon=HORIZON // block,
        starts=STARTS,
    )
    axes = torch.from_numpy(
        semi_major_axes(*(known.readings[name][:, 0] for name in ("position", "velocity")))
    )
    axes = axes[:, None, None]
    orbits = (foreseen.errors / axes).mean(1)  # [E, H+1]: the mean of an orbit's starts
    kepler = _kepler(guess[:, list(foreseen.starts)], foreseen.came, block) / axes
    return {
        "r2": dict(zip(NUMBERS, r2.tolist(), strict=True)),
        "mean_r2": float(r2.mean()),
        "effective_rank": ssl.rank_me(known.states),
        "lidar": ssl.lidar(known.states),
        "within_episode_variance": ssl.indicators(known.states)["within_episode_variance"],
        "spectrum": ssl.spectrum(known.states),
        "horizon": [block * step for step in range(HORIZON // block + 1)],
        "error": orbits.quantile(0.5, dim=0).tolist(),
        "error_mean": orbits.mean(0).tolist(),
        "error_100": float(orbits[:, -1].quantile(0.5)),
        "error_100_interval": bootstrap(orbits[:, -1].numpy(), np.median),
        "orbits_100": orbits[:, -1].tolist(),
        "kepler": kepler.mean(1).quantile(0.5, dim=0).tolist(),
        "foreseen": foreseen.foreseen[:PICTURED, 0].tolist(),
        "came": foreseen.came[:PICTURED, 0].tolist(),
        "labels": seen.states.shape[0] * seen.states.shape[1],
        "orbits": len(orbits),
    }


def _kepler(guess: Tensor, came: Tensor, block: int) -> Tensor:
    """Errors `[E, S, H+1]` of Kepler's laws, given the probe's reading `[E, S, 6]` of the present."""
    now = guess.double().numpy()[:, :, None]
    times = TIME_STEP * block * np.arange(came.shape[2])
    position, _ = propagate(now[..., :3], now[..., 3:], times[None, None])
    return torch.from_numpy(np.linalg.norm(position - came.double().numpy(), axis=-1))


def bootstrap(values: np.ndarray, statistic: Callable[..., Any], *, draws: int = 2000) -> list[float]:
    """The percentile bootstrap's 95 % interval of a statistic of `values` `[n, ...]` over its first axis.

    `statistic` takes `axis`.
    """
    chosen = np.random.default_rng(0).integers(len(values), size=(draws, len(values)))
    found = statistic(values[chosen], axis=1)
    if found.ndim > 1:
        found = found.mean(axis=tuple(range(1, found.ndim)))
    return [float(each) for each in np.quantile(found, [0.025, 0.975])]


def floors(store: EpisodeStore, heldout: EpisodeStore, *, look: int, block: int) -> dict[str, Any]:
    """What foresees without a model, from the true present: the planet stays, and it is at the star.

    The star is the mean place over orbits. Medians over orbits, as for models, against the same horizons.
    """
    position, velocity = (
        np.stack([heldout[number].readings[name][look - 1 :] for number in range(len(heldout))])
        for name in ("position", "velocity")
    )
    axes = semi_major_axes(position[:, 0], velocity[:, 0])[:, None, None]
    last = position.shape[1] - 1 - HORIZON
    starts = np.linspace(0, last, STARTS).round().astype(int)
    ahead = starts[:, None] + block * np.arange(HORIZON // block + 1)
    came = position[:, ahead]
    stays = np.linalg.norm(came - came[:, :, :1], axis=-1) / axes
    centre = np.linalg.norm(came - _mean_place(store), axis=-1) / axes
    return {
        name: np.median(errors.mean(1), axis=0).tolist()
        for name, errors in (("stays", stays), ("mean place", centre))
    }


def _mean_place(store: EpisodeStore) -> np.ndarray:
    return np.mean([store[int(each)].readings["position"].mean(0) for each in store.split()[0]], axis=0)


def pixel_probes(
    store: EpisodeStore,
    heldout: EpisodeStore,
    *,
    labelled: int,
    frames: int,
    spacing: int,
    sizes: Sequence[int],
) -> dict[str, Any]:
    """Floors of R²: linear probes of what is seen, and of its principal components.

    Of the same frames as the probes of states: those of `labelled` training episodes, measured on all of
    `heldout`. What is seen is averaged over squares of `POOLED` pixels, which one can afford to solve for
    and which quietens the sensor; ridge regression at the penalty that is best on the held-out frames.
    """
    seen, values = _pixels(store, store.split()[0][:labelled], frames, spacing)
    tests, truth = _pixels(heldout, np.arange(len(heldout)), frames, spacing)
    mean, middle = seen.mean(0), values.mean(0)
    seen, tests = seen - mean, tests - mean
    gram, moment = seen.T @ seen, seen.T @ (values - middle)
    best, scale = None, gram.diagonal().mean()
    for penalty in (1e-4, 1e-3, 1e-2, 1e-1, 1.0):
        weights = torch.linalg.solve(gram + penalty * scale * torch.eye(len(gram)), moment)
        found = r_squared(tests @ weights + middle, truth)
        if best is None or found.mean() > best.mean():
            best = found
    assert best is not None
    directions = torch.linalg.eigh(gram.double())[1].float()
    probes = {f"pixels, {POOLED} x {POOLED} averaged": best}
    for size in sizes:
        read = linear_reading(seen @ directions[:, -size:], values)
        probes[f"{size} principal components"] = r_squared(read(tests @ directions[:, -size:]), truth)
    return {
        name: {"r2": dict(zip(NUMBERS, found.tolist(), strict=True)), "mean_r2": float(found.mean())}
        for name, found in probes.items()
    }


def _pixels(store: EpisodeStore, episodes: np.ndarray, frames: int, spacing: int) -> tuple[Tensor, Tensor]:
    """What perception sees, pooled and flat `[n, frames * C * H * W / POOLED^2]`, and the six `[n, 6]`."""
    found, values = [], []
    first = (frames - 1) * spacing
    for number in episodes:
        record = store[int(number)]
        pictures = torch.from_numpy(np.array(record.frames)).permute(0, 3, 1, 2).float() / 255
        flat = nn.functional.avg_pool2d(pictures, POOLED).flatten(1)
        count = len(flat) - first
        found.append(torch.cat([flat[back : back + count] for back in range(0, first + 1, spacing)], dim=1))
        now = [record.readings[name][first:] for name in ("position", "velocity")]
        values.append(torch.from_numpy(np.concatenate(now, axis=1).astype(np.float32)))
    return torch.cat(found), torch.cat(values)
