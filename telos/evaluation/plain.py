"""What a number depends on, as JSON: configuration, versions, machine."""

from __future__ import annotations

import dataclasses
import inspect
import math
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import telos


def plain(value: object) -> Any:
    """Any configuration as JSON that a person can read: dataclasses as objects with their `type`.

    Numbers that JSON has no word for (NaN, infinity) become None; what has no better form, its name.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, torch.Tensor):
        return plain(value.detach().cpu().numpy())
    if isinstance(value, np.ndarray):
        return plain(value.tolist()) if value.size <= 64 else f"array {list(value.shape)}"
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, Sequence | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, partial):
        return {"type": plain(value.func), "arguments": plain([*value.args]), **plain(value.keywords)}
    if inspect.isroutine(value) or isinstance(value, type):
        return value.__qualname__
    return type(value).__qualname__


def versions() -> dict[str, str]:
    """The versions that a number depends on."""
    return {
        "telos": telos.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
    }


def _processor() -> str:
    """The CPU's name, as far as the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def machine() -> dict[str, Any]:
    """What a number of seconds was measured on."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    return {
        "system": platform.system(),
        "architecture": platform.machine(),
        "cpu": _processor(),
        "cpus": available,
        "torch_threads": torch.get_num_threads(),
    }
