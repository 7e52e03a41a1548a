"""What was planned, as a picture: a strip of imagined frames, or an animation of an episode."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from telos.files import atomic_path

if TYPE_CHECKING:
    from telos.evaluation import Recording

_HEIGHT = 192
_GAP = 8
_TITLE = 16
_PAPER, _INK = (250, 250, 247), (40, 40, 40)


def save_strip(frames: Sequence[np.ndarray], titles: Sequence[str], path: Path) -> None:
    """Frames uint8 `[H, W, C]` side by side, each under its title, as one picture."""
    _save([_row(frames, titles)], path)


def save_episode(record: Recording, goal: np.ndarray | None, path: Path) -> None:
    """An animated picture: what happened, what the newest drawn plan imagines for now, and the goal."""
    pages = []
    for step, frame in enumerate(record.frames):
        shown, titles = [frame], [f"world, step {step}"]
        if (imagined := _imagined(record, step)) is not None:
            shown, titles = [*shown, imagined], [*titles, "imagined"]
        elif any(plan.frames is not None for plan in record.plans):
            shown, titles = [*shown, np.zeros_like(frame)], [*titles, "imagined"]
        if goal is not None:
            shown, titles = [*shown, goal], [*titles, "goal"]
        pages.append(_row(shown, titles))
    _save(pages, path)


def _imagined(record: Recording, step: int) -> np.ndarray | None:
    """The frame that the last plan with pictures imagined for `step`."""
    found = None
    for plan in record.plans:
        if plan.frames is not None and plan.step <= step:
            block = (step - plan.step) // plan.block
            found = plan.frames[block] if block < len(plan.frames) else None
    return found


def _row(frames: Sequence[np.ndarray], titles: Sequence[str]) -> Image.Image:
    scale = max(1, round(_HEIGHT / frames[0].shape[0]))
    height, width = (side * scale for side in frames[0].shape[:2])
    row = Image.new("RGB", (_GAP + (width + _GAP) * len(frames), height + _TITLE + 2 * _GAP), _PAPER)
    draw = ImageDraw.Draw(row)
    for number, (frame, title) in enumerate(zip(frames, titles, strict=True)):
        left = _GAP + number * (width + _GAP)
        draw.text((left, _GAP // 2), title, fill=_INK)
        picture = Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).convert("RGB")
        row.paste(picture.resize((width, height), Image.Resampling.NEAREST), (left, _TITLE + _GAP))
    return row


def _save(pages: list[Image.Image], path: Path) -> None:
    kind = {".png": "PNG", ".gif": "GIF", ".webp": "WEBP"}.get(path.suffix.lower())
    if kind is None or (len(pages) > 1 and kind == "PNG"):
        raise ValueError(f"--out must end in {'.gif or .webp' if len(pages) > 1 else '.png'}; got {path}.")
    with atomic_path(path) as aside:
        first, *rest = pages
        if rest:
            first.save(aside, kind, save_all=True, append_images=rest, duration=80, loop=0)
        else:
            first.save(aside, kind)
