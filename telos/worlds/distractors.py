"""Distractors: what moves in a picture of Rooms, cannot be predicted and does not matter.

A *television* shows noise on part of the floor. A *moving texture* covers the whole floor, after the dynamic
backgrounds of the Distracting Control Suite (arXiv 2101.02722), with a sum of waves in place of videos. Both
lie under hazards, walls and dot, and nothing but the picture depends on them. They add light to the floor's
colour, never so much that the dot's red does not outshine it.

Each episode draws from generators of its own, by seed and split, so the rooms, starts and goals of a seed are
those that it has without a distractor. A goal's picture shows the same television or texture at another
time: its state is drawn apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided

from telos.worlds.layouts import BORDER, SIZE

BRIGHTEST_SCREEN, BRIGHTEST_TEXTURE = 150.0, 110.0
"""The most that a distractor adds to a channel of the floor, in grey levels."""
HEIGHT, WIDTH = 27, 36
"""Of a television, in pixels: 23.7 % of the picture."""
_NODES, _BLOB = 4.5, 3.0  # px: between the nodes of a television's blobs, and the deviation of one
_WAVES, _LENGTHS = 12, (12.0, 48.0)  # of a texture: how many plane waves, and how long in px
_CONTRAST = 0.26  # a distractor's deviation before it is cut off at both ends, as a share of the brightest
_BYTE = 73.9  # the deviation of a uniform byte
_INERTIA = 0.9  # the share of a texture's velocity that a step keeps
_AXIS = np.arange(SIZE, dtype=np.float32)
_SCENE, _EPISODE, _GOAL = range(3)


class Playing(Protocol):
    """The distractors of `n` episodes at a moment."""

    def place(self, backgrounds: np.ndarray, bare: np.ndarray) -> None:
        """Put them into pictures, uint8 `[n, 64, 64, 3]`, of which shares `[n, 64, 64]` are bare floor."""
        ...

    def advance(self) -> None:
        """Let a step pass."""
        ...

    def paint(self) -> np.ndarray:
        """The pictures as they are at this moment, uint8 `[n, 64, 64, 3]`; the same until `advance`."""
        ...


class Distractor(Protocol):
    """A kind of distractor and how strong it is."""

    @property
    def strength(self) -> float:
        """A share, 0 to 1, of the light that it can add; 0 is off."""
        ...

    def begin(self, seeds: Sequence[int], *, split: str, goal: bool = False) -> Playing:
        """The distractors of the episodes of these seeds: at the start, or in the goals' pictures."""
        ...


@dataclass(frozen=True)
class Television:
    """Blobs of coloured noise and noise in each pixel, in a rectangle of 27 x 36 px inside the border.

    Its place is drawn per episode. Each step draws new pixel noise and mixes new blobs into the old.
    """

    strength: float = 1.0
    persistence: float = 0.5  # correlation of a step's blobs with those of the step before
    grain: float = 0.3  # share of the variance that is pixel noise

    def __post_init__(self) -> None:
        _check_shares(strength=self.strength, persistence=self.persistence, grain=self.grain)

    def begin(self, seeds: Sequence[int], *, split: str, goal: bool = False) -> Playing:
        """See `Distractor`."""
        return _Screens(self, seeds, split, goal)


@dataclass(frozen=True)
class MovingTexture:
    """A smooth coloured texture on all of the floor, drawn per episode: a sum of 12 plane waves.

    It drifts as a whole, at a velocity that is a random walk with a pull to rest, and its waves move
    against each other, so that it changes as it drifts.
    """

    strength: float = 1.0
    speed: float = 1.0  # deviation of each component of the velocity, in pixels per step
    change: float = 0.3  # deviation of the steps of each wave's phase, in radians

    def __post_init__(self) -> None:
        _check_shares(strength=self.strength)
        for name in ("speed", "change"):
            if not 0 <= getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite and not negative; got {getattr(self, name)}.")

    def begin(self, seeds: Sequence[int], *, split: str, goal: bool = False) -> Playing:
        """See `Distractor`."""
        return _Textures(self, seeds, split, goal)


class _Screens:
    """Televisions of `n` episodes."""

    def __init__(self, kind: Television, seeds: Sequence[int], split: str, goal: bool) -> None:
        low = np.ceil(BORDER[:2]).astype(int)
        end = np.floor(BORDER[2:]).astype(int) + 2 - np.array([WIDTH, HEIGHT])
        places = [rng.integers(low, end) for rng in _generators(seeds, split, _SCENE)]
        self._column, self._row = np.stack(places, axis=1)
        self._kind = kind
        self._rngs = _generators(seeds, split, _GOAL if goal else _EPISODE)
        self._down = _blobs(HEIGHT)
        self._across = np.kron(_blobs(WIDTH).T, np.eye(3, dtype=np.float32))  # each channel alone
        self._nodes = self._drawn_nodes()
        self._grain = self._drawn_grain()

    def advance(self) -> None:
        keep = self._kind.persistence
        self._nodes = keep * self._nodes + (1 - keep**2) ** 0.5 * self._drawn_nodes()
        self._grain = self._drawn_grain()

    def place(self, backgrounds: np.ndarray, bare: np.ndarray) -> None:
        self._backgrounds = backgrounds
        self._under = _windows(backgrounds)[self._corners()] + np.float32(0.5)
        self._bare = _windows(np.repeat(bare[..., None].astype(np.float32), 3, -1))[self._corners()]

    def paint(self) -> np.ndarray:
        frames = self._backgrounds.copy()
        _windows(frames)[self._corners()] = (self._light() * self._bare + self._under).astype(np.uint8)
        return frames

    def _corners(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.arange(len(self._rngs)), self._row, self._column

    def _light(self) -> np.ndarray:
        """What the screens add to a bare floor, float32 `[n, 27, 36, 3]`."""
        most = np.float32(BRIGHTEST_SCREEN * self._kind.strength)
        contrast = _CONTRAST * float(most)
        smooth = contrast * (1 - self._kind.grain) ** 0.5
        rough = contrast * self._kind.grain**0.5 / _BYTE
        light = np.float32(smooth) * self._down @ self._nodes @ self._across
        light = light.reshape(-1, HEIGHT, WIDTH, 3)
        light += self._grain * np.float32(rough)
        light += np.float32(float(most) / 2 - 127.5 * rough)
        return np.clip(light, 0, most, out=light)

    def _drawn_nodes(self) -> np.ndarray:
        shape = (self._down.shape[1], self._across.shape[0])
        return np.stack([rng.standard_normal(shape, dtype=np.float32) for rng in self._rngs])

    def _drawn_grain(self) -> np.ndarray:
        """Uniform bytes `[n, 27, 36, 3]`."""
        count = -(-HEIGHT * WIDTH * 3 // 8)
        raw = np.stack([rng.bit_generator.random_raw(count) for rng in self._rngs])
        return raw.view(np.uint8)[:, : HEIGHT * WIDTH * 3].reshape(-1, HEIGHT, WIDTH, 3)


class _Textures:
    """Moving textures of `n` episodes: sums of waves, colour times cos(x kx + y ky + phase)."""

    def __init__(self, kind: MovingTexture, seeds: Sequence[int], split: str, goal: bool) -> None:
        scenes = [_waves(rng) for rng in _generators(seeds, split, _SCENE)]
        vectors, colours = (np.stack(values) for values in zip(*scenes, strict=True))
        self._kind, self._vectors = kind, vectors
        self._rngs = _generators(seeds, split, _GOAL if goal else _EPISODE)
        self._phases = np.stack([rng.uniform(0, 2 * np.pi, _WAVES) for rng in self._rngs])
        self._velocity = kind.speed * self._normal(2)
        # The cosine of x kx + (y ky + phase) is a product of a row's part, which changes, and a column's.
        angle = vectors[:, :, 0, None].astype(np.float32) * _AXIS
        parts = np.concatenate([np.cos(angle), -np.sin(angle)], axis=1)[..., None]
        most = BRIGHTEST_TEXTURE * kind.strength
        tints = (_CONTRAST * most * np.tile(colours, (1, 2, 1))).astype(np.float32)
        waves = (parts * tints[:, :, None]).reshape(len(seeds), 2 * _WAVES, SIZE * 3)
        mean = np.full_like(waves[:, :1], most / 2 + 0.5)  # half a level, since light is cut off to integers
        self._columns = np.concatenate([waves, mean], axis=1)

    def advance(self) -> None:
        kind = self._kind
        drawn = self._normal(2 + _WAVES)
        kick = kind.speed * np.sqrt(1 - _INERTIA**2)
        self._velocity = _INERTIA * self._velocity + kick * drawn[:, :2]
        drift = (self._vectors * self._velocity[:, None]).sum(-1)
        self._phases = (self._phases - drift + kind.change * drawn[:, 2:]) % (2 * np.pi)

    def place(self, backgrounds: np.ndarray, bare: np.ndarray) -> None:
        self._backgrounds = backgrounds.reshape(-1, SIZE, SIZE * 3)
        self._bare = bare.astype(np.float32).repeat(3, axis=2)

    def paint(self) -> np.ndarray:
        angle = self._vectors[:, None, :, 1].astype(np.float32) * _AXIS[:, None]
        angle += self._phases.astype(np.float32)[:, None]
        rows = np.concatenate([np.cos(angle), np.sin(angle), np.ones_like(angle[:, :, :1])], axis=2)
        most = np.float32(BRIGHTEST_TEXTURE * self._kind.strength)
        frames = np.empty_like(self._backgrounds)
        # One frame at a time: it stays in the cache.
        for number, row in enumerate(rows):
            light = row @ self._columns[number]
            np.clip(light, np.float32(0), most, out=light)
            light *= self._bare[number]
            frames[number] = light
        frames += self._backgrounds
        return frames.reshape(-1, SIZE, SIZE, 3)

    def _normal(self, count: int) -> np.ndarray:
        return np.stack([rng.standard_normal(count) for rng in self._rngs])


def _waves(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Wave vectors `[W, 2]` in radians per pixel and colours `[W, 3]`, of variance 1 in each channel."""
    direction = rng.uniform(0, 2 * np.pi, _WAVES)
    number = 2 * np.pi / np.exp(rng.uniform(np.log(_LENGTHS[0]), np.log(_LENGTHS[1]), _WAVES))
    vectors = number[:, None] * np.stack([np.cos(direction), np.sin(direction)], axis=1)
    colours = rng.standard_normal((_WAVES, 1)) + 0.7 * rng.standard_normal((_WAVES, 3))
    return vectors, colours / np.sqrt((colours**2).sum(0) / 2)


def _blobs(size: int) -> np.ndarray:
    """From values of deviation 1 at nodes to smooth ones of deviation 1 at pixels, `[size, nodes]`."""
    nodes = np.arange(-_NODES, size + _NODES, _NODES)
    weight = np.exp(-0.5 * ((np.arange(size)[:, None] - nodes) / _BLOB) ** 2)
    return (weight / np.linalg.norm(weight, axis=1, keepdims=True)).astype(np.float32)


def _windows(images: np.ndarray) -> np.ndarray:
    """Every rectangle of a television's size in images `[n, 64, 64, 3]`, `[n, 38, 29, 27, 36, 3]`, a view."""
    reach, s = (len(images), SIZE - HEIGHT + 1, SIZE - WIDTH + 1), images.strides
    return as_strided(images, (*reach, HEIGHT, WIDTH, 3), (*s[:3], *s[1:]))


def _generators(seeds: Sequence[int], split: str, part: int) -> list[np.random.Generator]:
    key = (int(split == "heldout"), part)
    return [
        np.random.Generator(np.random.SFC64(np.random.SeedSequence(int(seed), spawn_key=key)))
        for seed in seeds
    ]


def _check_shares(**shares: float) -> None:
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise ValueError(f"{name} must be between 0 and 1; got {value}.")


DISTRACTORS: Mapping[str, Distractor] = {
    "telos/TwoRoomsTelevision-v0": Television(),
    "telos/TwoRoomsBackground-v0": MovingTexture(),
}
"""The distractors of the worlds that have one."""
