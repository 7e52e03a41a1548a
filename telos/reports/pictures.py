"""Frames as pictures inside the page: PNG and animated WebP (APNG where Pillow cannot), as data addresses."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image, features

GAP = 4  # px between the panels of a picture
_DARK = np.array([9, 10, 16], np.uint8)
_MARK = np.array([147, 168, 255], np.uint8)


def png(frame: np.ndarray) -> str:
    """A frame uint8 `[H, W, C]` (C of 1, 3 or 4) as a data address."""
    return _address("png", _encoded([frame], "PNG"))


def animation(frames: Sequence[np.ndarray], *, milliseconds: int = 90, hold: int = 1200) -> str:
    """Frames uint8 `[H, W, 3]` as an endless animation, the last one shown for `hold`."""
    if len(frames) == 1:
        return png(frames[0])
    times = [milliseconds] * (len(frames) - 1) + [hold]
    if features.check("webp"):
        return _address("webp", _encoded(frames, "WEBP", times))
    return _address("png", _encoded(frames, "PNG", times))


def image(source: str, alternative: str, *, still: str = "") -> str:
    """An `<img>` of square pixels; `still` is shown instead to who asks for less motion."""
    tag = f'<img class="pixels" src="{source}" alt="{alternative}">'
    if not still:
        return tag
    return f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">{tag}</picture>'


def beside(panels: Sequence[np.ndarray], *, progress: float | None = None) -> np.ndarray:
    """Frames uint8 `[H, W, C]` of one size side by side, in a dark frame: `[H + 2, ...]`.

    `progress` in [0, 1] draws a line of that length under the last panel.
    """
    height, width, _ = panels[0].shape
    picture = np.tile(_DARK, (height + 2, len(panels) * (width + GAP) - GAP, 1))
    for position, panel in enumerate(panels):
        left = position * (width + GAP)
        picture[:height, left : left + width] = panel
    if progress is not None:
        left = picture.shape[1] - width
        picture[height + 1, left : left + round(progress * width)] = _MARK
    return picture


def strip(frames: Sequence[np.ndarray]) -> np.ndarray:
    """Frames uint8 `[H, W, C]` in a row."""
    return beside(frames)[:-2]


def _encoded(frames: Sequence[np.ndarray], kind: str, times: Sequence[int] | None = None) -> bytes:
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    buffer = io.BytesIO()
    if times is None:
        pictures[0].save(buffer, kind, optimize=True)
    else:
        lossless = {"lossless": True, "quality": 80, "method": 4} if kind == "WEBP" else {}
        pictures[0].save(
            buffer, kind, save_all=True, append_images=pictures[1:], duration=[*times], loop=0, **lossless
        )
    return buffer.getvalue()


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
