"""Blocks with no JEPA meaning."""

from telos.nn.blocks import ResidualConv, SpatialSoftmax, mlp

__all__ = ["ResidualConv", "SpatialSoftmax", "mlp"]
