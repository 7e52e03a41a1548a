"""Training: from an episode store and a recipe to a model."""

from telos.training.config import (
    Architecture,
    Collection,
    Heads,
    Optimisation,
    Prediction,
    Recipe,
    Representation,
    Sketched,
    Weights,
)
from telos.training.danger import learn_guardrail
from telos.training.heads import fit_decoder, fit_readouts
from telos.training.train import model_config, train

__all__ = [
    "Architecture",
    "Collection",
    "Heads",
    "Optimisation",
    "Prediction",
    "Recipe",
    "Representation",
    "Sketched",
    "Weights",
    "fit_decoder",
    "fit_readouts",
    "learn_guardrail",
    "model_config",
    "train",
]
