"""Conformal prediction: which of n exchangeable scores bounds the next one.

Marginal (Vovk, Gammerman and Shafer 2005; Angelopoulos and Bates, arXiv 2107.07511, section 1): the
probability that the next score exceeds the score of rank ceil((n + 1)(1 - alpha)) is at most alpha, on
average over calibrations. Training-conditional (Vovk 2012, "Conditional validity of inductive conformal
predictors"; 2107.07511, section 3.2): for independent scores the coverage of the score of rank r is at least
as large as a Beta(r, n + 1 - r) variable, so a rank somewhat higher holds for *this* calibration, with a
confidence.
"""

from __future__ import annotations

import math


def conformal_rank(n: int, alpha: float, confidence: float | None = None) -> int | None:
    """The rank, 1 the smallest, of the score that bounds the next one; None where n are too few.

    Without `confidence` a later score exceeds it with probability at most `alpha`, averaged over
    calibrations. With it, the rate of exceeding is at most `alpha` in a share `confidence` of calibrations.
    """
    _check(alpha, confidence)
    if confidence is None:
        rank = math.ceil((n + 1) * (1 - alpha) - 1e-9)
        return rank if rank <= n else None
    # P(Beta(r, n + 1 - r) >= 1 - alpha) = P(Bin(n, alpha) > n - r): the fewer may lie above, the surer.
    above = -1  # the largest number of scores above the bound
    while above + 1 < n and binomial_cdf(above + 1, n, alpha) <= (1 - confidence) * (1 + 1e-9):
        above += 1
    return n - above if above >= 0 else None


def episodes_needed(alpha: float, confidence: float | None = None) -> int:
    """The smallest n for which there is a rank."""
    _check(alpha, confidence)
    if confidence is None:
        return math.ceil(1 / alpha - 1 - 1e-9)
    return math.ceil(math.log(1 - confidence) / math.log1p(-alpha) - 1e-9)


def binomial_cdf(successes: int, n: int, rate: float) -> float:
    """P(Bin(n, rate) <= successes)."""
    if successes < 0:
        return 0.0
    if successes >= n:
        return 1.0
    logs = [
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(rate)
        + (n - k) * math.log1p(-rate)
        for k in range(successes + 1)
    ]
    return min(math.fsum(math.exp(value) for value in logs), 1.0)


def _check(alpha: float, confidence: float | None) -> None:
    if not 0 < alpha < 1:
        raise ValueError(f"alpha must be above 0 and below 1; got {alpha}.")
    if confidence is not None and not 0 < confidence < 1:
        raise ValueError(f"confidence must be above 0 and below 1, or None; got {confidence}.")
