"""A world model on a network that others trained: the way of DINO-WM (arXiv 2411.04983)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from telos.perception import Pixels, Pretrained, from_pretrained
from telos.recipes.lewm import lewm
from telos.training.config import Architecture, Collection, Optimisation, Prediction, Recipe
from telos.world_model import History

_SIDE = 4  # patches a side: 16 tokens, for a laptop
_SMALL = {
    "model_type": "dinov2",
    "hidden_size": 384,
    "num_hidden_layers": 12,
    "num_attention_heads": 6,
    "mlp_ratio": 4,
    "patch_size": 14,
    "image_size": 518,
}


def dino_wm(encoder: str | Path | None = None) -> Recipe:
    """TwoRooms on frozen patch tokens: only the predictor is learned. `collect` needs no network yet.

    Args:
        encoder: a folder that transformers' `save_pretrained` wrote, or a name on the Hugging Face hub;
            None is DINOv2-small, read from the hub when training begins. Any kind that `from_pretrained`
            takes will do.
    """
    perception = _small() if encoder is None else from_pretrained(encoder, pooled="patches")
    side = _SIDE * perception.network["patch_size"]
    perception = replace(perception, pixels=replace(perception.pixels, resolution=side))
    return Recipe(
        name="dino-wm",
        world="telos/TwoRooms-v0",
        collection=Collection(episodes=512),
        architecture=Architecture(
            block=5,
            held=False,
            perception=perception,
            predictor=History(depth=2, tokens=perception.tokens),
            recovered="none",
            ensemble=1,
        ),
        representation=None,
        prediction=Prediction(
            Optimisation(steps=2000, batch=32, learning_rate=5e-4, clip=1.0), horizon=3, noise=0.0
        ),
        configurator=lewm().configurator,
    )


def _small() -> Pretrained:
    pixels = Pixels(resolution=_SIDE * _SMALL["patch_size"])
    return Pretrained(_SMALL, pixels, pooled="patches", source="facebook/dinov2-small")
