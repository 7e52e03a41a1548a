"""Building blocks with no JEPA meaning."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from telos.nn.gather import gather, own_rows


def mlp(sizes: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers through `sizes`, with `activation` between them and none at the end."""
    layers: list[nn.Module] = []
    for index in range(len(sizes) - 1):
        layers.append(nn.Linear(sizes[index], sizes[index + 1]))
        if index < len(sizes) - 2:
            layers.append(activation())
    return nn.Sequential(*layers)


def projector(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer, batch-normalised: `[N, inputs]` to `[N, outputs]`, as self-supervised heads are."""
    return nn.Sequential(nn.Linear(inputs, hidden), BatchNorm(hidden), nn.GELU(), nn.Linear(hidden, outputs))


def normalised_head(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer: `[N, inputs]` to `[N, outputs]`, each with mean 0 and deviation 1 over a batch.

    The last normalisation has no scale, which keeps every output from collapsing.
    """
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.LayerNorm(hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs, bias=False),
        BatchNorm(outputs, affine=False),
    )


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation of `[N, D]` by the statistics of all processes' rows; N is the same in each.

    torch's SyncBatchNorm is for GPUs only. This gathers the rows, which are small where it is used, and so
    finds the numbers of one process with all of them.
    """

    def forward(self, input: Tensor) -> Tensor:
        """`input` normalised, `[N, D]`."""
        if not self.training:
            return super().forward(input)
        return own_rows(super().forward(gather(input)))


class ResidualConv(nn.Module):
    """Two 3x3 convolutions around an identity: `[N, C, H, W]` to the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """Add what the convolutions find to `features`."""
        return features + self.second(torch.relu(self.first(torch.relu(features))))


def residual_stack(inputs: int, channels: int, *, blocks: int) -> nn.Sequential:
    """A 3x3 convolution, pooling to half the size, and residual blocks: `[N, inputs, H, W]` to
    `[N, channels, ceil(H/2), ceil(W/2)]`, as IMPALA's network is made of (arXiv 1802.01561, figure 3)."""
    return nn.Sequential(
        nn.Conv2d(inputs, channels, 3, padding=1),
        nn.MaxPool2d(3, stride=2, padding=1),
        *(ResidualConv(channels) for _ in range(blocks)),
    )


class SpatialSoftmax(nn.Module):
    """Where each channel is active: `[N, C, H, W]` to expected coordinates, `[N, C, 2]` as (x, y).

    Each channel's map becomes a distribution over positions by a softmax; its mean is the answer, so
    that a position is read at a precision finer than the grid (Levine et al. 2016, arXiv 1504.00702).
    Coordinates run from -1 at the left and upper edge to 1 at the right and lower one, whatever the
    resolution, as `torch.nn.functional.grid_sample` has them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.log_temperature = nn.Parameter(torch.full((channels, 1), 1.5))

    def forward(self, features: Tensor) -> Tensor:
        """The coordinates of all channels, in the precision of the temperature."""
        height, width = features.shape[-2:]
        logits = features.flatten(2).to(self.log_temperature.dtype) * self.log_temperature.exp()
        weights = logits.softmax(-1).unflatten(-1, (height, width))
        across, down = weights.sum(-2), weights.sum(-1)
        x, y = cell_centres(width, like=weights), cell_centres(height, like=weights)
        return torch.stack([across @ x, down @ y], dim=-1)


def cell_centres(count: int, *, like: Tensor) -> Tensor:
    """The centres `[count]` of equal cells between -1 and 1."""
    return (2 * torch.arange(count, device=like.device, dtype=like.dtype) + 1) / count - 1


@contextmanager
def batch_statistics(network: nn.Module, *, momentum: float) -> Iterator[None]:
    """What batch normalisations take into their running statistics of what they see: 0 nothing, 1 all."""
    norms = [part for part in network.modules() if isinstance(part, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    try:
        for norm in norms:
            norm.momentum = momentum
        yield
    finally:
        for norm, before in zip(norms, momenta, strict=True):
            norm.momentum = before
