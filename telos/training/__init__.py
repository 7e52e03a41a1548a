"""Training: from an episode store and a recipe to a model."""

from telos.training.compute import Compute
from telos.training.config import (
    Architecture,
    Collection,
    Distillation,
    Heads,
    Optimisation,
    Prediction,
    Recipe,
    Representation,
    Sketched,
    Weights,
)
from telos.training.danger import learn_guardrail
from telos.training.distillation import fit_reflex
from telos.training.heads import fit_decoder, fit_readouts
from telos.training.stages import has_collapsed
from telos.training.train import model_config, train

__all__ = [
    "Architecture",
    "Collection",
    "Compute",
    "Distillation",
    "Heads",
    "Optimisation",
    "Prediction",
    "Recipe",
    "Representation",
    "Sketched",
    "Weights",
    "fit_decoder",
    "fit_readouts",
    "fit_reflex",
    "has_collapsed",
    "learn_guardrail",
    "model_config",
    "train",
]
