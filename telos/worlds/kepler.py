"""One body around a fixed star, in closed form: no integrator, so no error that grows.

The star's gravitational parameter is 1. Everything is float64 numpy and batched over leading dimensions.
From elements by Kepler's equation; from position and velocity by universal variables and Stumpff's functions
(R. H. Battin, An Introduction to the Mathematics and Methods of Astrodynamics, 1999).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_ITERATIONS = 100  # Newton's method needs about five, halving a bracket to the last bit about fifty
_CLOSE = 1e-15
_SERIES_BELOW = 0.5
_TERMS = 10  # of a series in z/12 and smaller: the first one left out is below 1e-20


@dataclass(frozen=True)
class Elements:
    """Ellipses and where on them a body is at time 0; every field float64 `[n]`, angles in radians."""

    semi_major_axis: np.ndarray
    eccentricity: np.ndarray  # in [0, 1)
    inclination: np.ndarray
    node: np.ndarray  # longitude of the ascending node
    argument: np.ndarray  # of the periapsis
    mean_anomaly: np.ndarray  # at time 0

    def period(self) -> np.ndarray:
        """Time units per turn, `[n]`: Kepler's third law."""
        return 2 * np.pi * self.semi_major_axis**1.5

    def at(self, time: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity at `time` (a number, or `[n]`): float64 `[n, 3]` each."""
        a, e = self.semi_major_axis, self.eccentricity
        rate = a**-1.5
        eccentric = eccentric_anomaly(self.mean_anomaly + rate * time, e)
        sine, cosine = np.sin(eccentric), np.cos(eccentric)
        minor = np.sqrt(1 - e * e)
        along, across = self._axes()
        speed = a * rate / (1 - e * cosine)
        position = (a * (cosine - e))[:, None] * along + (a * minor * sine)[:, None] * across
        velocity = (-speed * sine)[:, None] * along + (speed * minor * cosine)[:, None] * across
        return position, velocity

    def _axes(self) -> tuple[np.ndarray, np.ndarray]:
        """Unit vectors `[n, 3]` towards the periapsis, and a quarter turn ahead in the orbit's plane."""
        (sin_i, sin_n, sin_w), (cos_i, cos_n, cos_w) = (
            [f(angle) for angle in (self.inclination, self.node, self.argument)] for f in (np.sin, np.cos)
        )
        along = [cos_n * cos_w - sin_n * sin_w * cos_i, sin_n * cos_w + cos_n * sin_w * cos_i, sin_w * sin_i]
        across = [
            -cos_n * sin_w - sin_n * cos_w * cos_i,
            -sin_n * sin_w + cos_n * cos_w * cos_i,
            cos_w * sin_i,
        ]
        return np.stack(along, axis=-1), np.stack(across, axis=-1)


def eccentric_anomaly(mean: np.ndarray, eccentricity: np.ndarray) -> np.ndarray:
    """The solution E `[...]` of Kepler's equation M = E - e sin E, by Newton's method; e in [0, 1).

    It begins at E = pi where e is large, from where Newton's method converges for every M.
    """
    turn = 2 * np.pi * np.round(mean / (2 * np.pi))
    within = mean - turn
    guess = np.where(eccentricity < 0.8, within + eccentricity * np.sin(within), np.copysign(np.pi, within))
    for _ in range(_ITERATIONS):
        wrong = guess - eccentricity * np.sin(guess) - within
        step = wrong / (1 - eccentricity * np.cos(guess))
        guess = guess - step
        if (np.abs(step) < _CLOSE * 10).all():
            break
    return guess + turn


def propagate(
    position: np.ndarray, velocity: np.ndarray, time: float | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where a body will be: position and velocity `[..., 3]` now, to the same `time` time units later.

    Six numbers are all it takes. Ellipses, parabolas and hyperbolas, forwards and (where `time` is negative)
    backwards: readings of a model need not be of a bound orbit. `time` broadcasts with `[...]`.
    `ValueError` for numbers that are not finite, or a body at the star's centre.
    """
    position, velocity = np.asarray(position, np.float64), np.asarray(velocity, np.float64)
    time = np.asarray(time, np.float64)
    _check(position, velocity, time)
    shape = np.broadcast_shapes(position.shape[:-1], velocity.shape[:-1], time.shape)
    time = np.broadcast_to(time, shape)
    backwards = np.where(time < 0, -1.0, 1.0)
    radius = np.linalg.norm(position, axis=-1)
    radial = backwards * (position * velocity).sum(-1)
    beta = 2 / radius - (velocity * velocity).sum(-1)  # 1 / semi-major axis, negative on a hyperbola
    later = np.abs(time)
    with np.errstate(divide="ignore", invalid="ignore"):
        period = np.where(beta > 0, 2 * np.pi * np.abs(beta) ** -1.5, np.inf)
        ahead = np.where(np.isfinite(period), np.fmod(later, period), later)
    s = _universal(ahead, radius, radial, beta)
    c0, c1, c2, c3 = _stumpff(beta * s * s)
    distance = radius * c0 + radial * s * c1 + s * s * c2
    f, g = 1 - s * s * c2 / radius, backwards * (ahead - s**3 * c3)
    f_rate, g_rate = -backwards * s * c1 / (distance * radius), 1 - s * s * c2 / distance
    return (
        f[..., None] * position + g[..., None] * velocity,
        f_rate[..., None] * position + g_rate[..., None] * velocity,
    )


def _check(position: np.ndarray, velocity: np.ndarray, time: np.ndarray) -> None:
    if position.ndim < 1 or position.shape[-1] != 3 or velocity.shape[-1:] != (3,):
        raise ValueError(
            "position and velocity must have shape [..., 3]; "
            f"got {list(position.shape)} and {list(velocity.shape)}."
        )
    if not all(np.isfinite(values).all() for values in (position, velocity, time)):
        raise ValueError("position, velocity and time must be finite; got NaN or infinite values.")
    if (position == 0).all(axis=-1).any():
        raise ValueError("position must not be the star's centre, where the motion is undefined; got zeros.")


def _universal(ahead: np.ndarray, radius: np.ndarray, radial: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """The universal variable s >= 0 at which `ahead` time has passed: Newton's method in a bracket.

    Time grows with s at the rate of the distance, which is never negative, so the bracket always holds.
    """

    def elapsed(s: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        c0, c1, c2, c3 = _stumpff(beta * s * s)
        time = radius * s * c1 + radial * s * s * c2 + s**3 * c3
        return time, radius * c0 + radial * s * c1 + s * s * c2

    low = np.zeros(np.broadcast_shapes(ahead.shape, radius.shape, radial.shape))
    with np.errstate(divide="ignore"):  # a hyperbola's time is exponential in s: begin low enough
        high = low + np.minimum(ahead / radius, np.abs(beta) ** -0.5) + 1e-12
    for _ in range(_ITERATIONS):
        short = elapsed(high)[0] < ahead
        if not short.any():
            break
        low, high = np.where(short, high, low), np.where(short, 2 * high, high)
    s = (low + high) / 2
    for _ in range(_ITERATIONS):
        time, rate = elapsed(s)
        low, high = np.where(time <= ahead, s, low), np.where(time >= ahead, s, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = s - (time - ahead) / rate
        better = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        done = np.abs(better - s) <= _CLOSE * np.maximum(s, 1e-300)
        s = better
        if done.all():
            break
    return s


def _stumpff(z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Stumpff's functions c0 to c3 of z; by their series where z is small and the formulas cancel."""
    root = np.sqrt(np.maximum(np.abs(z), _SERIES_BELOW))
    with np.errstate(over="ignore", invalid="ignore"):
        c2 = np.where(z > 0, 1 - np.cos(root), np.cosh(root) - 1) / root**2
        c3 = np.where(z > 0, root - np.sin(root), np.sinh(root) - root) / root**3
    small = np.where(np.abs(z) < _SERIES_BELOW, z, 0.0)
    series2, series3 = np.ones_like(small), np.ones_like(small)
    for n in range(_TERMS, 0, -1):
        series2 = 1 - small / ((2 * n + 1) * (2 * n + 2)) * series2
        series3 = 1 - small / ((2 * n + 2) * (2 * n + 3)) * series3
    near = np.abs(z) < _SERIES_BELOW
    c2, c3 = np.where(near, series2 / 2, c2), np.where(near, series3 / 6, c3)
    return 1 - z * c2, 1 - z * c3, c2, c3
