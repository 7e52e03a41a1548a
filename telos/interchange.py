"""LeWM's weights, from and to stable-worldmodel."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from telos.errors import CheckpointError
from telos.model import Model, ModelConfig
from telos.perception import PatchEncoder
from telos.world_model import HistoryPredictor

_OLD = (
    # What the vision transformer's layers are called in transformers 4, and in transformers 5.
    (r"^encoder\.encoder\.layer\.", "encoder.layers."),
    (r"\.attention\.attention\.([qkv])\w+\.", r".attention.\1_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"\.intermediate\.dense\.", ".mlp.fc1."),
    (r"^(encoder\.layers\.\d+)\.output\.dense\.", r"\1.mlp.fc2."),
)
_UNUSED = "encoder.pooler."
_OURS_ALONE = ("pixel_mean", "pixel_scale", "action_mean", "action_scale")
_TOKENS, _PLACES = "encoder.embeddings.cls_token", "encoder.embeddings.position_embeddings"
_WINDOW, _EMBED = "predictor.pos_embedding", "action_encoder.patch_embed.weight"


def load_lewm(
    weights: str | Path | Mapping[str, Tensor],
    config: ModelConfig,
    *,
    action_mean: Tensor | None = None,
    action_deviation: Tensor | None = None,
) -> Model:
    """A model with the weights of a LeWM (arXiv 2603.19312) that stable-worldmodel trained.

    LeWM takes a block's actions standardised by its data set. The model takes them in the world's units,
    so it must be told that mean and deviation.

    Args:
        weights: a safetensors file, or the state dict of `stable_worldmodel.wm.lewm.LeWM`.
        config: of the model: `perception=Patches(...)` and `predictor=History(...)` of the sizes that it was
            trained with, `frames=1`, `ensemble=1`, and an action space of its block.
        action_mean: `[A]`, of its training actions; by default 0.
        action_deviation: `[A]`, of its training actions; by default 1.

    Raises:
        CheckpointError: the file cannot be read, or its tensors are not those of this configuration.
        ValueError: the configuration is not of a LeWM.
    """
    found = {_renamed(name): value for name, value in _read(weights).items()}
    model = Model(config)
    encoder, predictor = _parts(model)
    state = model.state_dict()
    for ours, theirs in _pairs(encoder, predictor):
        missing = [name for name in theirs if name not in found]
        if missing:
            raise CheckpointError(f"The LeWM weights have no {missing[0]!r}. {_advice(config)}")
        joined = torch.cat([torch.atleast_1d(found.pop(name)) for name in theirs])
        if joined.numel() != state[ours].numel():
            raise CheckpointError(
                f"The LeWM weight {theirs[0]!r} has shape {list(joined.shape)}, which does not fit "
                f"{list(state[ours].shape)}. {_advice(config)}"
            )
        state[ours] = joined.reshape(state[ours].shape)
    if left := sorted(name for name in found if not name.startswith(_UNUSED)):
        raise CheckpointError(f"The LeWM weights hold {left[0]!r}, which has no place. {_advice(config)}")
    model.load_state_dict(state)
    with torch.no_grad():
        if action_mean is not None:
            predictor.action_mean.copy_(action_mean)
        ones = torch.ones_like(predictor.action_scale)
        predictor.action_scale.copy_(ones if action_deviation is None else 1 / action_deviation)
    return model.eval()


def lewm_weights(model: Model) -> dict[str, Tensor]:
    """The model's weights under the names that `stable_worldmodel.wm.lewm.LeWM` has them under.

    That model takes actions standardised: (action - predictor.action_mean) * predictor.action_scale.
    `ValueError` where perception or predictor are not LeWM's.
    """
    encoder, predictor = _parts(model)
    state, found = model.state_dict(), {}
    for ours, theirs in _pairs(encoder, predictor):
        parts = state[ours].detach().cpu().chunk(len(theirs)) if len(theirs) > 1 else [state[ours].cpu()]
        found |= {name: part.clone() for name, part in zip(theirs, parts, strict=True)}
    found[_TOKENS] = found[_TOKENS][None, None]
    found[_EMBED] = found[_EMBED][..., None]
    return found | {name: found[name][None] for name in (_PLACES, _WINDOW)}


def _read(weights: str | Path | Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if isinstance(weights, Mapping):
        return weights
    try:
        return safetensors.torch.load_file(weights)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The LeWM weights {weights} cannot be read: {error}. Give a safetensors file."
        ) from error


def _renamed(name: str) -> str:
    for old, new in _OLD:
        name = re.sub(old, new, name)
    return name


def _parts(model: Model) -> tuple[PatchEncoder, HistoryPredictor]:
    encoder, predictor, config = model.encoder, model.predictor, model.config
    if (
        not isinstance(encoder, PatchEncoder)
        or not isinstance(predictor, HistoryPredictor)
        or (config.frames, config.ensemble) != (1, 1)
    ):
        raise ValueError(
            "LeWM is perception=Patches(...), predictor=History(...), frames=1 and ensemble=1; got "
            f"{config.perception}, {config.predictor}, {config.frames} and {config.ensemble}."
        )
    return encoder, predictor


def _pairs(encoder: PatchEncoder, predictor: HistoryPredictor) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Our tensors and LeWM's that they are made of, joined along the first axis."""
    modules = _modules(len(encoder.blocks), len(predictor.blocks))
    parts = (("encoder.", encoder), ("predictors.0.", predictor))
    for name in (prefix + inner for prefix, part in parts for inner in part.state_dict()):
        module, _, kind = name.rpartition(".")
        if kind in _OURS_ALONE:
            continue
        theirs = modules.get(name) or [f"{each}.{kind}" for each in modules[module]]
        yield name, tuple(theirs)


def _modules(encoder_depth: int, predictor_depth: int) -> dict[str, list[str]]:
    """Our modules, and single parameters, and LeWM's that they are made of."""
    found = {
        "encoder.summary": [_TOKENS],
        "encoder.places": [_PLACES],
        "encoder.patches": ["encoder.embeddings.patch_embeddings.projection"],
        "encoder.norm": ["encoder.layernorm"],
        "predictors.0.places": [_WINDOW],
        "predictors.0.norm": ["predictor.transformer.norm"],
        "predictors.0.embed.0": ["action_encoder.patch_embed"],
        "predictors.0.embed.1": ["action_encoder.embed.0"],
        "predictors.0.embed.3": ["action_encoder.embed.2"],
    }
    for index in (0, 1, 3):
        found[f"encoder.project.{index}"] = [f"projector.net.{index}"]
        found[f"predictors.0.project.{index}"] = [f"pred_proj.net.{index}"]
    for layer in range(encoder_depth):
        ours, theirs = f"encoder.blocks.{layer}", f"encoder.layers.{layer}"
        found |= {
            f"{ours}.before_attention": [f"{theirs}.layernorm_before"],
            f"{ours}.qkv": [f"{theirs}.attention.{letter}_proj" for letter in "qkv"],
            f"{ours}.out": [f"{theirs}.attention.o_proj"],
            f"{ours}.before_mlp": [f"{theirs}.layernorm_after"],
            f"{ours}.mlp.0": [f"{theirs}.mlp.fc1"],
            f"{ours}.mlp.2": [f"{theirs}.mlp.fc2"],
        }
    for layer in range(predictor_depth):
        ours, theirs = f"predictors.0.blocks.{layer}", f"predictor.transformer.layers.{layer}"
        found |= {
            f"{ours}.before_attention": [f"{theirs}.attn.norm"],
            f"{ours}.qkv": [f"{theirs}.attn.to_qkv"],
            f"{ours}.out": [f"{theirs}.attn.to_out.0"],
            f"{ours}.before_mlp": [f"{theirs}.mlp.net.0"],
            f"{ours}.expand": [f"{theirs}.mlp.net.1"],
            f"{ours}.contract": [f"{theirs}.mlp.net.4"],
            f"{ours}.condition": [f"{theirs}.adaLN_modulation.1"],
        }
    return found


def _advice(config: ModelConfig) -> str:
    return f"Give the sizes that it was trained with; got {config.perception} and {config.predictor}."
