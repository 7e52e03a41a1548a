"""Numbers with arrays on disk: one npz that holds its structure as JSON, no pickle."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from telos.errors import TelosError
from telos.evaluation.plain import plain
from telos.files import atomic_path

_ARRAY = "@array"


def save_with_arrays(path: Path, value: Any) -> None:
    """Write nested dictionaries, lists, numbers and numpy arrays to one npz, atomically."""
    arrays: dict[str, Any] = {}

    def strip(item: Any) -> Any:
        if isinstance(item, np.ndarray):
            key = f"a{len(arrays)}"
            arrays[key] = item
            return {_ARRAY: key}
        if isinstance(item, Mapping):
            return {str(key): strip(value) for key, value in item.items()}
        if isinstance(item, list | tuple):
            return [strip(value) for value in item]
        return plain(item)

    skeleton = json.dumps(strip(value), allow_nan=False).encode()
    with atomic_path(path) as aside, aside.open("wb") as file:
        np.savez_compressed(file, json=np.frombuffer(skeleton, np.uint8), **arrays)


def load_with_arrays(path: Path) -> Any:
    """Read what `save_with_arrays` wrote; `TelosError` where it is missing or damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        skeleton = json.loads(arrays["json"].tobytes())
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise TelosError(f"{path} cannot be read ({error}). Evaluate again to write it anew.") from error

    def fill(item: Any) -> Any:
        if isinstance(item, dict):
            return (
                arrays[item[_ARRAY]] if _ARRAY in item else {key: fill(value) for key, value in item.items()}
            )
        return [fill(value) for value in item] if isinstance(item, list) else item

    return fill(skeleton)


def dump(value: Mapping[str, Any]) -> str:
    """JSON with one line per key, and one per object in lists of objects: long tables stay readable."""
    lines = []
    for key, item in value.items():
        if isinstance(item, list) and item and all(isinstance(row, Mapping) for row in item):
            rows = ",\n".join(f"    {json.dumps(row, allow_nan=False)}" for row in item)
            lines.append(f"  {json.dumps(key)}: [\n{rows}\n  ]")
        else:
            lines.append(f"  {json.dumps(key)}: {json.dumps(item, allow_nan=False)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def read_json(path: Path) -> Any:
    """Read a JSON file; `TelosError` where it is missing or damaged."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TelosError(f"{path} cannot be read ({error}). Evaluate again to write it anew.") from error
