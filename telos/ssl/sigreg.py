"""SIGReg: how far embeddings are from a standard normal distribution, seen along random directions."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def sigreg(
    embeddings: Tensor,
    generator: torch.Generator,
    *,
    slices: int = 256,
    knots: int = 17,
    upto: float = 3.0,
    orthogonal: bool = False,
) -> Tensor:
    """The Epps-Pulley statistic of `[..., N, D]`, mean over random directions and leading axes; a scalar.

    LeJEPA (arXiv 2511.08544): N samples are projected on `slices` unit directions, and the empirical
    characteristic function of each projection is compared with that of a standard normal,
    N * integral |mean exp(i t x) - exp(-t^2 / 2)|^2 exp(-t^2 / 2) dt, by the trapezium rule with `knots`
    points from 0 to `upto` (doubled, the integrand is even). It is small for normal samples, so a
    collapsed or lopsided embedding is pushed apart. The default of LeWM (arXiv 2603.19312) is 1,024 slices.

    What the directions add to the noise of a gradient falls with the root of their number. For batches of
    64 to 256 it is that of the batch itself at 100 to 500 slices where D is 32 and at 300 to 800 where D
    is 192 (docs/ssl.md): more than 1,024 buy little.

    Args:
        embeddings: floating point.
        generator: draws the directions.
        orthogonal: draw directions by D that are at right angles to each other. The expectation is the same,
            and the noise of the gradient less, most where the embedding is far from normal.
    """
    if slices < 1 or knots < 2 or not upto > 0:
        raise ValueError(
            "slices must be at least 1, knots at least 2 and upto positive; got "
            f"{slices}, {knots} and {upto}."
        )
    directions = _directions(embeddings, slices, generator, orthogonal=orthogonal)
    statistics: Any = _EppsPulley.apply(embeddings @ directions, knots, upto / (knots - 1))
    return embeddings.shape[-2] * statistics.mean()


def _directions(like: Tensor, slices: int, generator: torch.Generator, *, orthogonal: bool) -> Tensor:
    size = like.shape[-1]
    shape = (math.ceil(slices / size), size, size) if orthogonal else (size, slices)
    drawn = torch.randn(shape, generator=generator, device=generator.device, dtype=like.dtype).to(like.device)
    if orthogonal:
        return torch.cat(torch.linalg.qr(drawn).Q.unbind(), dim=-1)[:, :slices]
    return drawn / torch.linalg.vector_norm(drawn, dim=0, keepdim=True)


class _EppsPulley(torch.autograd.Function):
    """The integral, of samples `[..., N, slices]`: `[..., slices]`.

    Its points are evenly spaced, so the cosine and sine at each follow from those at the two before it,
    cos(k x) = 2 cos(x) cos((k - 1) x) - cos((k - 2) x): one of each per sample, whatever the number of knots.
    The slope is a sum of the same cosines and sines over k, which Clenshaw's recurrence evaluates from
    cos(x) and sin(x): nothing else is kept for it.
    """

    @staticmethod
    def forward(ctx: Any, samples: Tensor, knots: int, step: float) -> Tensor:
        cosine, sine = torch.cos(step * samples), torch.sin(step * samples)
        real, imaginary = cosine, sine
        last_real, last_imaginary = torch.ones_like(cosine), torch.zeros_like(sine)
        statistic = torch.zeros_like(samples[..., 0, :])
        slopes = []
        for knot in range(1, knots):  # at 0 there is no difference
            if knot > 1:
                real, last_real = torch.addcmul(-last_real, cosine, real, value=2), real
                imaginary, last_imaginary = (
                    torch.addcmul(-last_imaginary, cosine, imaginary, value=2),
                    imaginary,
                )
            normal = math.exp(-((knot * step) ** 2) / 2)
            weight = step * normal * (1 if knot == knots - 1 else 2)
            apart = torch.stack([real.mean(-2) - normal, imaginary.mean(-2)])
            statistic += weight * apart.square().sum(0)
            slopes.append(2 * weight * knot * step / samples.shape[-2] * apart)
        ctx.save_for_backward(cosine, sine, torch.stack(slopes).unsqueeze(-2))
        return statistic

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        cosine, sine, slopes = ctx.saved_tensors
        of_sine, of_cosine = torch.zeros_like(cosine), torch.zeros_like(cosine)
        last_of_sine, last_of_cosine = of_sine, of_cosine
        for real, imaginary in reversed(slopes.unbind(0)):
            of_sine, last_of_sine = torch.addcmul(real - last_of_sine, cosine, of_sine, value=2), of_sine
            of_cosine, last_of_cosine = (
                torch.addcmul(imaginary - last_of_cosine, cosine, of_cosine, value=2),
                of_cosine,
            )
        slope = cosine * of_cosine - last_of_cosine - sine * of_sine
        return slope * gradients[0].unsqueeze(-2), None, None
