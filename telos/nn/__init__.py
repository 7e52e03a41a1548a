"""Building blocks with no JEPA meaning."""

from telos.nn.blocks import ResidualConv, SpatialSoftmax, cell_centres, mlp

__all__ = ["ResidualConv", "SpatialSoftmax", "cell_centres", "mlp"]
