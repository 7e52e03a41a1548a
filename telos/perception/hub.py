"""What is taken from transformers: networks, and how a checkpoint of one says that it is fed."""

from __future__ import annotations

import importlib
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from telos.errors import CheckpointError, UnknownName


@dataclass(frozen=True)
class Kind:
    """What telos must know of a kind of network that its configuration does not say."""

    clip: bool  # whether it sees several frames at once
    resolution: int  # that it was published for, pixels a side
    interpolation: str


KINDS = {
    "dinov2": Kind(clip=False, resolution=224, interpolation="bicubic"),
    "dinov2_with_registers": Kind(clip=False, resolution=224, interpolation="bicubic"),
    "dinov3_vit": Kind(clip=False, resolution=224, interpolation="bilinear"),
    "vjepa2": Kind(clip=True, resolution=256, interpolation="bilinear"),
}
"""By transformers' `model_type`."""

_PREPARATION = ("video_preprocessor_config.json", "preprocessor_config.json", "processor_config.json")
_INSIDE = ("video_processor", "image_processor")  # where the last of these keeps it
_RESAMPLE = {2: "bilinear", 3: "bicubic"}  # Pillow's numbers
# What a configuration holds beside the network's shape: names, labels, and what versions differ in.
_ASIDE = ("_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id")
_NAMES = (
    # What versions of transformers call the same weights, as published and since.
    (r"\.attention\.attention\.([qkv])\w+\.", r".attention.\1_proj."),
    (r"\.attention\.output\.dense\.", ".attention.o_proj."),
    (r"^model\.layer\.", "layer."),
)


def build_network(configuration: Mapping[str, Any], resolution: int, source: str) -> nn.Module:
    """A network of this configuration: with the weights at `source`, or new ones if that is empty.

    Of V-JEPA 2 it is the encoder; the rest of its checkpoint, a predictor of masked tokens, is not kept.
    `CheckpointError` if weights are missing.
    """
    transformers = _transformers()
    kind = configuration["model_type"]
    changes: dict[str, Any] = {}
    if kind == "vjepa2":
        # Its positions are counted by the size that the configuration has, not by the picture's.
        changes = {"crop_size": resolution}
    elif kind == "dinov3_vit":
        # Only used in training mode, which the network is never in.
        changes = {"pos_embed_rescale": None}
    config = transformers.AutoConfig.for_model(**{**configuration, **changes})
    if not source:
        network = transformers.AutoModel.from_config(config, dtype=torch.float32)
        return network.encoder if kind == "vjepa2" else network
    network, found = _read(
        source,
        lambda: transformers.AutoModel.from_pretrained(
            source, config=config, dtype=torch.float32, output_loading_info=True
        ),
    )
    kept = network.encoder if kind == "vjepa2" else network
    names = {f"encoder.{name}" if kind == "vjepa2" else name for name in kept.state_dict()}
    missing = sorted(names & {*found["missing_keys"], *(name for name, *_ in found["mismatched_keys"])})
    if missing:
        raise CheckpointError(
            f"{source} has no weights for {missing[0]!r} of {kind} ({len(missing)} are missing). "
            "Download it again, or give another one."
        )
    return kept


def renamed(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """Weights of a network that any version of transformers named, under the names that `network` has."""
    ours = {_one_name(name): name for name in network.state_dict()}
    return {ours.get(_one_name(name), name): value for name, value in weights.items()}


def _one_name(name: str) -> str:
    for pattern, replacement in _NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def read_configuration(source: str) -> dict[str, Any]:
    """The transformers configuration of the network at `source`, as plain data.

    Errors: `CheckpointError` if there is none; `UnknownName` if it is of a kind that telos does not know.
    """
    transformers = _transformers()
    plain = _read(source, lambda: transformers.AutoConfig.from_pretrained(source)).to_dict()
    if plain.get("model_type") not in KINDS:
        raise UnknownName("kind of pretrained network", str(plain.get("model_type")), KINDS)
    kept = {key: value for key, value in plain.items() if key not in _ASIDE}
    return json.loads(json.dumps(kept))


def read_preparation(source: str, kind: Kind) -> dict[str, Any]:
    """How pictures are prepared for the network at `source`: the arguments of `Pixels`.

    What its image processor's file does not say, or all without one, is as transformers has it for this
    kind: ImageNet's mean and deviation. `CheckpointError` if the file asks for something else than that.
    """
    said = _processor(source)
    resample = said.get("resample", kind.interpolation)
    interpolation = _RESAMPLE.get(resample, resample)
    factor = said.get("rescale_factor", 1 / 255)
    if interpolation not in _RESAMPLE.values() or abs(255 * factor - 1) > 1e-6:
        raise CheckpointError(
            f"The image processor of {source} must resize by 2 (bilinear) or 3 (bicubic) and scale pixels by "
            f"1/255; got {resample} and {factor}. Give Pretrained(pixels=Pixels(...)) of your own."
        )
    found: dict[str, Any] = {"interpolation": interpolation, "resolution": kind.resolution}
    for name, key in (("mean", "image_mean"), ("deviation", "image_std")):
        if said.get(key) is not None:
            found[name] = tuple(float(value) for value in said[key])
    for key in ("size", "crop_size"):  # a crop comes after the resizing
        if (side := _side(said.get(key))) is not None:
            found["resolution"] = side
    return found


def _side(size: Any) -> int | None:
    return size.get("height", size.get("shortest_edge")) if isinstance(size, Mapping) else size


def _processor(source: str) -> dict[str, Any]:
    hub = importlib.import_module("transformers.utils.hub")
    for name in _PREPARATION:
        path = _read(
            source,
            lambda name=name: hub.cached_file(
                source,
                name,
                _raise_exceptions_for_missing_entries=False,
                _raise_exceptions_for_connection_errors=False,
            ),
        )
        if path is None:
            continue
        said = _read(source, lambda path=path: json.loads(Path(path).read_text()))
        inside = [said[key] for key in _INSIDE if key in said]
        if inside or name != _PREPARATION[-1]:
            return inside[0] if inside else said
    return {}


def _read(source: str, read: Any) -> Any:
    """What `read` gives, quietly; `CheckpointError` if it cannot."""
    logger = logging.getLogger("transformers")
    level = logger.level
    logger.setLevel(logging.ERROR)
    bars = importlib.import_module("transformers.utils.logging")
    shown = bars.is_progress_bar_enabled()
    bars.disable_progress_bar()
    try:
        return read()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{source} cannot be read as a pretrained network: {error}. Give a folder that save_pretrained "
            "wrote, or a name on the Hugging Face hub that can be reached."
        ) from error
    finally:
        logger.setLevel(level)
        if shown:
            bars.enable_progress_bar()


def _transformers() -> Any:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise CheckpointError(
            "Pretrained perception needs transformers: pip install 'telos[pretrained]'."
        ) from error
