"""World model: predictors, and the one place that unrolls them."""

from telos.world_model.history import History, HistoryPredictor
from telos.world_model.inverse import InverseDynamics
from telos.world_model.leap import Leap, LeapPredictor
from telos.world_model.predictor import Glimpse, GlimpsePredictor, Predictor, action_scale
from telos.world_model.recurrent import Recurrent, RecurrentPredictor
from telos.world_model.unroll import Predict, unroll, unroll_each

PredictorSettings = Glimpse | History | Leap | Recurrent
"""The settings of every predictor."""

__all__ = [
    "Glimpse",
    "GlimpsePredictor",
    "History",
    "HistoryPredictor",
    "InverseDynamics",
    "Leap",
    "LeapPredictor",
    "Predict",
    "Predictor",
    "PredictorSettings",
    "Recurrent",
    "RecurrentPredictor",
    "action_scale",
    "unroll",
    "unroll_each",
]
