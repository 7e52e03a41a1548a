"""What an import asks of a video file: its frames, how many there are, how fast, and whether it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from PIL import Image

from telos.data.table import VideoImportError


def decoded(file: Path, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """The frames, each uint8 `[H, W, 3]` of the shape `size`; `VideoImportError` where it cannot be read."""
    for frame in _frames(file):
        yield fit(frame.to_ndarray(format="rgb24"), size)


def count_frames(file: Path) -> int:
    """How many frames decoding gives; what containers say of themselves is not always true."""
    return sum(1 for _ in _frames(file))


def frame_rate(file: Path) -> float | None:
    """Frames per second, as the file says; None where it does not."""
    av = _av()
    try:
        with av.open(file) as container:
            rate = container.streams.video[0].average_rate
    except (av.error.FFmpegError, IndexError) as error:
        raise VideoImportError(f"{file} cannot be read as a video: {error}.") from error
    return None if rate is None else float(rate)


def checksum(file: Path) -> str:
    """A digest of the file's bytes, which a copy has as well."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()[:16]


def fit(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Crop a frame `[H, W, 3]` uint8 about its centre to the shape of `size`, and average it down to it."""
    height, width = size
    scale = min(frame.shape[0] / height, frame.shape[1] / width)
    top, left = (frame.shape[0] - height * scale) / 2, (frame.shape[1] - width * scale) / 2
    box = (left, top, left + width * scale, top + height * scale)
    return np.asarray(Image.fromarray(frame).resize((width, height), Image.Resampling.BOX, box=box))


def _frames(file: Path) -> Iterator[Any]:
    av = _av()
    try:
        with av.open(file) as container:
            container.streams.video[0].thread_type = "AUTO"
            yield from container.decode(video=0)
    except (av.error.FFmpegError, IndexError) as error:
        raise VideoImportError(f"{file} cannot be read as a video: {error}.") from error


def _av() -> ModuleType:
    try:
        import av
        import av.error
    except ImportError as error:
        raise VideoImportError("Reading videos needs PyAV: pip install 'telos[video]'.") from error
    return av
