"""Building blocks with no JEPA meaning."""

from telos.nn.attention import attention
from telos.nn.blocks import (
    ResidualConv,
    SpatialSoftmax,
    batch_statistics,
    cell_centres,
    mlp,
    normalised_head,
    projector,
    residual_stack,
)
from telos.nn.gather import gather, own_rows, rand_rows
from telos.nn.transformer import ConditionedBlock, Seen, TransformerBlock

__all__ = [
    "ConditionedBlock",
    "ResidualConv",
    "Seen",
    "SpatialSoftmax",
    "TransformerBlock",
    "attention",
    "batch_statistics",
    "cell_centres",
    "gather",
    "mlp",
    "normalised_head",
    "own_rows",
    "projector",
    "rand_rows",
    "residual_stack",
]
