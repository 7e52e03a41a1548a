"""How many directions SIGReg needs: `python -m benchmarks.slices [--quick]`.

The noise of a gradient over draws of the directions, in units of its noise over batches (that is taken with
8,192 directions). The gradient is of a linear layer behind normal samples, for embeddings that are normal,
narrow and lopsided. Directions are drawn freely, and at right angles by D. Prints one JSON object as its
last line.
"""

from __future__ import annotations

import argparse
import json
from itertools import product

import torch
from torch import Tensor

from benchmarks.meter import machine
from telos import ssl

DRAWS, BATCHES, MANY = 16, 12, 8192


def deviations(kind: str, size: int) -> Tensor:
    """The standard deviation of each dimension of the embedding, `[D]`."""
    if kind == "lopsided":
        return torch.logspace(0.3, -1.5, size)
    return torch.full((size,), {"normal": 1.0, "narrow": 0.5}[kind])


def gradient(samples: Tensor, scale: Tensor, seed: int, *, slices: int, orthogonal: bool = False) -> Tensor:
    """SIGReg's gradient of the layer that makes embeddings of samples `[N, D]`: `[D, D]`."""
    weight = torch.diag(scale).requires_grad_()
    generator = torch.Generator().manual_seed(seed)
    ssl.sigreg(samples @ weight, generator, slices=slices, orthogonal=orthogonal).backward()
    assert weight.grad is not None
    return weight.grad


def deviation(gradients: list[Tensor]) -> float:
    """The standard deviation of gradients, all entries together."""
    return float(torch.stack(gradients).var(0).sum().sqrt())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="D = 32 and at most 256 slices")
    quick = parser.parse_args().quick
    torch.set_num_threads(1)
    rows = []
    for size, samples, kind in product(
        (32,) if quick else (32, 192), (64, 256), ("normal", "narrow", "lopsided")
    ):
        scale, generator = deviations(kind, size), torch.Generator().manual_seed(0)
        batches = torch.randn(BATCHES, samples, size, generator=generator)
        between = deviation([gradient(batch, scale, 0, slices=MANY) for batch in batches])
        for slices, orthogonal in product((64, 256) if quick else (64, 256, 1024, 4096), (False, True)):
            draws = [
                gradient(batches[0], scale, seed, slices=slices, orthogonal=orthogonal)
                for seed in range(DRAWS)
            ]
            noise = round(deviation(draws) / between, 2)
            row = {"D": size, "N": samples, "embedding": kind, "slices": slices, "orthogonal": orthogonal}
            rows.append(row | {"noise": noise})
    print(json.dumps({"rows": rows, "machine": machine()}))


if __name__ == "__main__":
    main()
