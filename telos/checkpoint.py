"""A model on disk: a folder with `config.json`, which says what to build, and `model.safetensors`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from telos.errors import CheckpointError
from telos.files import atomic_path, sync

FORMAT = "telos-model"
VERSION = 4
WEIGHTS = "model.safetensors"


def write_checkpoint(
    folder: Path, weights: Mapping[str, Tensor], *, built: Mapping[str, Any], provenance: Mapping[str, Any]
) -> None:
    """Write weights, what to build for them, and where they came from (both as JSON has it).

    Both files are written beside the old ones before either is replaced, the configuration last: a folder
    without one is unfinished. `CheckpointError` if there is no space; the old checkpoint stays.
    """
    config = {"format": FORMAT, "version": VERSION, **built, "provenance": provenance}
    kept = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    try:
        path = folder / "config.json"
        with atomic_path(path) as described, atomic_path(folder / WEIGHTS) as aside:
            described.write_text(json.dumps(config, indent=2, allow_nan=False) + "\n")
            safetensors.torch.save_file(kept, aside)
            sync(described)
            sync(aside)
            if not _built_alike(path, built):
                path.unlink(missing_ok=True)
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint {folder} could not be written ({error}); the one before it, if "
            "any, is unchanged. Free some space or choose another folder."
        ) from error


def fingerprint(module: nn.Module) -> str:
    """A digest of the weights: two modules with the same one are the same."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def read_checkpoint_config(folder: str | Path) -> dict[str, Any]:
    """The `config.json` of a checkpoint, checked for format and version."""
    path = Path(folder) / "config.json"
    try:
        config = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise CheckpointError(
            f"{folder} is not a telos checkpoint: it has no config.json. "
            "Give the folder that telos train wrote."
        ) from error
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read: {error}. Copy the checkpoint again.") from error
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise CheckpointError(f"{path} is not of a telos checkpoint. Give the folder that telos train wrote.")
    if config.get("version") != VERSION:
        raise CheckpointError(
            f"{path} has version {config.get('version')}; this telos reads version {VERSION}. "
            "Train again, or install the telos that wrote it."
        )
    return config


def _built_alike(path: Path, built: Mapping[str, Any]) -> bool:
    """Whether the configuration at `path` would read weights of what is `built`."""
    try:
        old = json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return isinstance(old, dict) and all(
        old.get(key) == json.loads(json.dumps(value)) for key, value in built.items()
    )
