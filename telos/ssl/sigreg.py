"""SIGReg: how far embeddings are from a standard normal distribution, seen along random directions."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sigreg(
    embeddings: Tensor, generator: torch.Generator, *, slices: int = 256, knots: int = 17, upto: float = 3.0
) -> Tensor:
    """The Epps-Pulley statistic of `[..., N, D]`, mean over random directions and leading axes; a scalar.

    LeJEPA (arXiv 2511.08544): N samples are projected on `slices` unit directions, and the empirical
    characteristic function of each projection is compared with that of a standard normal,
    N * integral |mean exp(i t x) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt, by the trapezium rule with `knots`
    points from 0 to `upto` (doubled, the integrand is even). It is small for normal samples, so a
    collapsed or lopsided embedding is pushed apart. The default of LeWM (arXiv 2603.19312) is 1,024 slices.

    The points are evenly spaced, so exp(i t x) at each is that at the one before it times exp(i dt x): one
    sine and one cosine per projection, whatever the number of knots.

    Args:
        embeddings: floating point, on the generator's device.
        generator: draws the directions.
    """
    if slices < 1 or knots < 2 or not upto > 0:
        raise ValueError(
            "slices must be at least 1, knots at least 2 and upto positive; got "
            f"{slices}, {knots} and {upto}."
        )
    shape = (embeddings.shape[-1], slices)
    directions = torch.randn(shape, generator=generator, device=embeddings.device, dtype=embeddings.dtype)
    directions = directions / torch.linalg.vector_norm(directions, dim=0, keepdim=True)
    projected = embeddings @ directions  # [..., N, slices]
    step = upto / (knots - 1)
    real = torch.ones_like(projected)
    imaginary = torch.zeros_like(projected)
    turn_real, turn_imaginary = torch.cos(step * projected), torch.sin(step * projected)
    total = torch.zeros_like(projected[..., 0, :])
    for knot in range(knots):
        normal = math.exp(-((knot * step) ** 2) / 2)
        weight = step * normal * (1 if knot in (0, knots - 1) else 2)
        distance = (real.mean(-2) - normal).square() + imaginary.mean(-2).square()
        total = total + weight * distance
        real, imaginary = (
            real * turn_real - imaginary * turn_imaginary,
            real * turn_imaginary + imaginary * turn_real,
        )
    return embeddings.shape[-2] * total.mean()
