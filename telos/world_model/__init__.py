"""World model: predictors, and the one place that unrolls them."""

from telos.world_model.inverse import InverseDynamics
from telos.world_model.predictor import GlimpsePredictor
from telos.world_model.unroll import Predict, unroll

__all__ = ["GlimpsePredictor", "InverseDynamics", "Predict", "unroll"]
