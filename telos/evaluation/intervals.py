"""How sure a success rate is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from telos.cost import binomial_cdf


def wilson(successes: int, n: int, *, z: float = 1.959963984540054) -> tuple[float, float]:
    """Wilson's score interval of a share of `successes` among `n` (95 % by default), each in [0, 1].

    Wilson 1927; unlike the normal approximation it is right at 0, at n, and for small n. With n = 0
    nothing is known: (0, 1).
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n; got {successes} of {n}.")
    if n == 0:
        return 0.0, 1.0
    share, weight = successes / n, z * z / n
    centre = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / n + weight / (4 * n))
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
    return low, high


def median(values: Sequence[float]) -> float | None:
    """The middle value, or the mean of the two middle ones; None where there are none."""
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return float(ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2)


def clopper_pearson(successes: int, n: int, *, level: float = 0.95) -> tuple[float, float]:
    """The exact two-sided interval of a share: its ends are where a tail of (1 - level) / 2 begins.

    Clopper and Pearson 1934. It never covers less than `level`, which Wilson's may near 0: for what must
    not happen.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"successes must be between 0 and n; got {successes} of {n}.")
    tail = (1 - level) / 2
    low = _solve(lambda rate: 1 - binomial_cdf(successes - 1, n, rate), tail) if successes else 0.0
    high = _solve(lambda rate: -binomial_cdf(successes, n, rate), -tail) if successes < n else 1.0
    return low, high


def _solve(rising: Callable[[float], float], value: float) -> float:
    """Where a rising function of a rate in (0, 1) takes a value."""
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < value else (low, middle)
    return (low + high) / 2
