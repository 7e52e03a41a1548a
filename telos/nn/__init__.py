"""Building blocks with no JEPA meaning."""

from telos.nn.blocks import ResidualConv, SpatialSoftmax, cell_centres, mlp, normalised_head, projector
from telos.nn.transformer import ConditionedBlock, Seen, TransformerBlock

__all__ = [
    "ConditionedBlock",
    "ResidualConv",
    "Seen",
    "SpatialSoftmax",
    "TransformerBlock",
    "cell_centres",
    "mlp",
    "normalised_head",
    "projector",
]
