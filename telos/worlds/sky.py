"""How Orbits looks: a planet and its star, from two cameras at right angles.

Both cameras look at the star, which is the origin; coordinates in space are x, y and z. The first stands on
the z axis and has x to the right, the second on the x axis and has z to the left; y is up in both. So each
sees as depth what the other sees as a place. They share a frame, the first one's half on the left.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.lib.stride_tricks import as_strided

SIZE = 64  # px a side of one view
FRAME_SHAPE = (SIZE, 2 * SIZE, 3)
CAMERA_DISTANCE = 4.0
FOCAL = 64.0  # px: a body at CAMERA_DISTANCE / FOCAL from the axis is a pixel from the centre
FARTHEST = 1.5  # from the star that a planet is in view
PLANET_RADIUS, STAR_RADIUS = 0.26, 0.12
_CENTRE = (SIZE - 1) / 2
_AXES = np.array([[[1, 0, 0], [0, 1, 0], [0, 0, 1]], [[0, 0, -1], [0, 1, 0], [1, 0, 0]]], dtype=float)
"""Right, up and towards the camera, of each camera: `[2, 3, 3]`."""
_PATCH = 16  # px a side of what is painted of a planet: its radius is below 7
_PIXELS = np.stack(np.meshgrid(np.arange(_PATCH), np.arange(_PATCH)), axis=-1).astype(np.float32)
_SKY = np.array([6.0, 8.0, 18.0])
_SUN = np.array([255.0, 206.0, 96.0])
_PLAIN = np.array([96.0, 156.0, 224.0], dtype=np.float32)
_CLOUD = np.array([244.0, 246.0, 250.0], dtype=np.float32)
_DIM = 0.45  # brightness at a planet's limb
_QUANTILES = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Waves:
    """Patterns on spheres, each a sum of W plane waves: float `[n, W, 3]`, and their phases `[n, W]`."""

    vectors: np.ndarray
    phases: np.ndarray

    @staticmethod
    def draw(rng: np.random.Generator, count: int, wave_number: tuple[float, float]) -> Waves:
        """One pattern, n = 1: directions uniform, wave numbers (radians per radius) uniform in a range."""
        direction = rng.standard_normal((1, count, 3))
        length = rng.uniform(*wave_number, (1, count, 1))
        vectors = length * direction / np.linalg.norm(direction, axis=-1, keepdims=True)
        return Waves(vectors, rng.uniform(0, 2 * np.pi, (1, count)))

    @staticmethod
    def join(patterns: list[Waves]) -> Waves:
        """Many patterns as one batch."""
        return Waves(
            *(np.concatenate([getattr(p, name) for p in patterns]) for name in ("vectors", "phases"))
        )


@dataclass(frozen=True, eq=False)
class Surface:
    """What planets wear in a frame; strengths are shares in 0..1, and at 0 a pattern has no effect."""

    land: Waves
    colours: np.ndarray  # [n, 2, 3], of low and high land
    contrast: float
    clouds: Waves
    cover: float


def project(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points `[..., 3]` are in both views: pixels `[..., 2, 2]` and depths `[..., 2]`.

    Pixels are x right and y down within a view; the first one's centre is 0. A sphere of radius R at depth d
    is drawn as a disc of radius FOCAL * R / d, which is its outline to within half a pixel here.
    """
    seen = np.einsum("cij,...j->...ci", _AXES, position)
    depth = CAMERA_DISTANCE - seen[..., 2]
    offset = FOCAL * seen[..., :2] / depth[..., None]
    return _CENTRE + offset * np.array([1.0, -1.0]), depth


def turned(vectors: np.ndarray, axis: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Vectors `[n, W, 3]` turned by `angle` `[n]` around unit vectors `axis` `[n, 3]` (Rodrigues)."""
    axis, angle = axis[:, None], angle[:, None, None]
    along = axis * (vectors * axis).sum(-1, keepdims=True)
    return along + np.cos(angle) * (vectors - along) + np.sin(angle) * np.cross(axis, vectors)


def empty_sky() -> np.ndarray:
    """The star alone in both views, float64 `[64, 128, 3]`: a disc, and a glow around it."""
    distance = _from_centre()
    glow = 0.45 * np.exp(-np.maximum(distance - _star_pixels(), 0) / 2.0)
    cover = np.maximum(_disc(distance, _star_pixels()), glow)[..., None]
    return np.tile(_SKY + cover * (_SUN - _SKY), (1, 2, 1))


def star_field(rng: np.random.Generator, brightness: float) -> np.ndarray:
    """Light of far stars, float64 `[64, 128, 3]`: 40 to 160 of them, most of them faint."""
    light = np.zeros(FRAME_SHAPE)
    count = rng.integers(40, 160)
    row, column = rng.integers(SIZE, size=count), rng.integers(2 * SIZE, size=count)
    strength = 30 + 150 * rng.random(count) ** 3
    tint = rng.uniform(0.7, 1.0, (count, 3))
    light[row, column] = brightness * strength[:, None] * tint
    return light


def paint_planets(backgrounds: np.ndarray, position: np.ndarray, surface: Surface) -> np.ndarray:
    """Frames: uint8 backgrounds `[n, 64, 128, 3]` with a planet at each position `[n, 3]`."""
    frames = backgrounds.copy()
    places, depth = project(position)
    corner = np.clip(np.rint(places).astype(np.intp) - _PATCH // 2 + 1, 0, SIZE - _PATCH)
    # Every patch of every frame, as a view: one gather and one scatter draw all planets.
    down, across, s = SIZE - _PATCH + 1, 2 * SIZE - _PATCH + 1, frames.strides
    windows = as_strided(frames, (len(frames), down, across, _PATCH, _PATCH, 3), (*s[:3], *s[1:]))
    index = (np.arange(len(frames))[:, None], corner[..., 1], corner[..., 0] + np.array([0, SIZE]))
    radius = (FOCAL * PLANET_RADIUS / depth).astype(np.float32)[..., None, None]
    offset = _PIXELS - (places - corner).astype(np.float32)[:, :, None, None]
    distance = np.sqrt((offset * offset).sum(-1))
    cover = _disc(distance, radius)
    behind = (depth > CAMERA_DISTANCE)[..., None, None]
    cover *= 1 - behind * _STAR_PATCHES[corner[..., 1], corner[..., 0]]
    # Unit normals; pixels of the edge, whose centres are outside, have the limb's.
    across_disc = offset / np.maximum(radius, distance)[..., None]
    towards = np.sqrt(np.maximum(1 - (across_disc * across_disc).sum(-1), 0))
    normals = np.stack([across_disc[..., 0], -across_disc[..., 1], towards], axis=2)
    colour = _worn(surface, normals.reshape(*normals.shape[:3], -1)).reshape(*cover.shape, 3)
    colour = colour * (_DIM + (1 - _DIM) * towards)[..., None]
    patch = windows[index].astype(np.float32)
    patch += cover[..., None] * (colour - patch)
    patch += 0.5
    windows[index] = patch.astype(np.uint8)
    return frames


def flicker_and_noise(
    frames: np.ndarray, gains: np.ndarray | None, noise: float, rngs: list[np.random.Generator]
) -> np.ndarray:
    """Frames as a poor sensor sees them: times `gains` `[n]`, plus normal noise of deviation `noise`."""
    table = noise * _QUANTILES + np.float32(0.5)
    seen = np.empty_like(frames)
    # One frame at a time: it stays in the cache.
    for number, (frame, rng) in enumerate(zip(frames, rngs, strict=True)):
        value = frame.astype(np.float32)
        if gains is not None:
            value *= np.float32(gains[number])
        if noise:
            random = rng.bit_generator.random_raw(frame.size // 8).view(np.uint8)
            value += table.take(random).reshape(frame.shape)
        else:
            value += np.float32(0.5)
        seen[number] = np.clip(value, 0, 255.5, out=value).astype(np.uint8)
    return seen


def _worn(surface: Surface, normals: np.ndarray) -> np.ndarray:
    """Colours `[n, 2, P, 3]` at the normals `[n, 2, 3, P]`, each in its camera's axes."""
    colour = np.broadcast_to(_PLAIN, (*normals.shape[:2], normals.shape[3], 3))
    if surface.contrast:
        height = np.clip(0.5 + 0.6 * _pattern(surface.land, normals), 0, 1)[..., None]
        low, high = surface.colours.astype(np.float32)[:, :, None, None].swapaxes(0, 1)
        colour = colour + np.float32(surface.contrast) * (low + height * (high - low) - colour)
    if surface.cover:
        cloud = np.clip(1.5 * (_pattern(surface.clouds, normals) - 0.2), 0, 1)[..., None]
        colour = colour + np.float32(surface.cover) * cloud * (_CLOUD - colour)
    return colour


def _pattern(waves: Waves, normals: np.ndarray) -> np.ndarray:
    """A pattern's value `[n, 2, P]`, of mean 0 and deviation 1, at normals in each camera's axes."""
    seen = np.einsum("cij,nwj->ncwi", _AXES, waves.vectors).astype(np.float32)
    angle = seen @ normals
    angle += waves.phases.astype(np.float32)[:, None, :, None]
    return np.sin(angle, out=angle).sum(2) * np.float32((2 / waves.phases.shape[1]) ** 0.5)


def _disc(distance: np.ndarray, radius: np.ndarray | float) -> np.ndarray:
    """How much of a pixel at some distance from a disc's centre is in the disc."""
    return np.clip(radius - distance + np.float32(0.5), 0, 1)


def _from_centre() -> np.ndarray:
    axis = np.arange(SIZE) - _CENTRE
    return np.hypot(axis[:, None], axis)


def _star_pixels() -> float:
    return FOCAL * STAR_RADIUS / CAMERA_DISTANCE


_STAR_PATCHES = np.lib.stride_tricks.sliding_window_view(
    _disc(_from_centre(), _star_pixels()).astype(np.float32), (_PATCH, _PATCH)
)
"""How much of each pixel the star covers, in every patch of a view: `[49, 49, 16, 16]`."""
