"""Line charts as inline SVG, in the colours of the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from telos.reports.markup import number, text

_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 10, 10, 38


@dataclass(frozen=True, eq=False)
class Line:
    """One curve: `x` and `y` are `[n]`; what is not finite is left out."""

    name: str
    x: np.ndarray
    y: np.ndarray
    colour: str = "var(--agent)"
    dashed: bool = False
    opacity: float = 1.0
    width: float = 2.0


@dataclass(frozen=True)
class _Frame:
    """From numbers to places in the picture."""

    x: tuple[float, float]
    y: tuple[float, float]
    log: bool
    size: tuple[int, int]

    def across(self, value: np.ndarray | float) -> np.ndarray:
        """Places along x."""
        low, high = self.x
        return _LEFT + (np.asarray(value) - low) / (high - low) * (self.size[0] - _LEFT - _RIGHT)

    def down(self, value: np.ndarray | float) -> np.ndarray:
        """Places along y."""
        low, high = (math.log10(end) for end in self.y) if self.log else self.y
        values = np.log10(value) if self.log else np.asarray(value)
        return self.size[1] - _BOTTOM - (values - low) / (high - low) * (self.size[1] - _TOP - _BOTTOM)


def line_chart(
    lines: Sequence[Line],
    *,
    x_name: str,
    y_name: str = "",
    log: bool = False,
    from_zero: bool = False,
    size: tuple[int, int] = (360, 220),
) -> str:
    """An SVG of curves over common axes; nothing but a sentence where no value is finite.

    `log` asks for a logarithmic y axis, and gets one if all values are positive and far enough apart.
    """
    drawn = [line for line in map(_finite, lines) if len(line.x)]
    if not drawn:
        return '<p class="note">No finite values.</p>'
    xs = np.concatenate([line.x for line in drawn])
    ys = np.concatenate([line.y for line in drawn])
    log = log and bool(ys.min() > 0) and bool(ys.max() > 10 * ys.min())
    low, high = (0.0 if from_zero and ys.min() >= 0 else float(ys.min())), float(ys.max())
    frame = _Frame(_spread(float(xs.min()), float(xs.max())), _spread(low, high, log), log, size)
    parts = [*_axes(frame, x_name, y_name)]
    for line in drawn:
        points = " ".join(
            f"{x:.1f},{y:.1f}" for x, y in zip(frame.across(line.x), frame.down(line.y), strict=True)
        )
        dash = ' stroke-dasharray="5 4"' if line.dashed else ""
        style = f"stroke:{line.colour};stroke-width:{line.width};opacity:{line.opacity}"
        title = (
            f"<title>{text(line.name)}: {number(float(line.y[-1]))} at {number(float(line.x[-1]))}</title>"
        )
        parts.append(f'<polyline class="line" points="{points}" style="{style}"{dash}>{title}</polyline>')
    label = text(f"{', '.join(dict.fromkeys(line.name for line in drawn))} against {x_name}")
    return (
        f'<svg class="chart" viewBox="0 0 {size[0]} {size[1]}" role="img" aria-label="{label}">'
        f"{''.join(parts)}</svg>"
    )


def _axes(frame: _Frame, x_name: str, y_name: str) -> list[str]:
    width, height = frame.size
    floor, parts = height - _BOTTOM, []
    for tick in _ticks(frame.y, frame.log, count=4):
        y = float(frame.down(tick))
        parts.append(f'<path class="axis" d="M{_LEFT} {y:.1f}H{width - _RIGHT}"/>')
        parts.append(f'<text x="{_LEFT - 7}" y="{y + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>')
    parts += [
        f'<text x="{float(frame.across(tick)):.1f}" y="{floor + 15}" text-anchor="middle">'
        f"{_short(tick)}</text>"
        for tick in _ticks(frame.x, False, count=5)
    ]
    middle = (_LEFT + width - _RIGHT) / 2
    parts.append(
        f'<text class="name" x="{middle:.0f}" y="{height - 5}" text-anchor="middle">{text(x_name)}</text>'
    )
    if y_name:
        turn = f"translate(9 {(_TOP + floor) / 2:.0f}) rotate(-90)"
        parts.append(f'<text class="name" transform="{turn}" text-anchor="middle">{text(y_name)}</text>')
    return parts


def _ticks(span: tuple[float, float], log: bool, *, count: int) -> list[float]:
    low, high = span
    if log:
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        steps = (1,) if math.log10(high / low) > 2 else (1, 2, 5)
        found = [step * 10.0**power for power in powers for step in steps]
    else:
        found = [float(tick) for tick in MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)]
    slack = 1e-9 * (high - low)
    return [tick for tick in found if low - slack <= tick <= high + slack]


def _spread(low: float, high: float, log: bool = False) -> tuple[float, float]:
    """The range with some air, never empty."""
    if log:
        return (low / 1.15, high * 1.15) if high > low * 1.01 else (low / 2, high * 2)
    if high - low <= 1e-12 * max(abs(high), abs(low), 1e-12):
        room = abs(high) or 1.0
        return low - 0.5 * room, high + 0.5 * room
    return low, high


def _finite(line: Line) -> Line:
    x, y = np.asarray(line.x, float), np.asarray(line.y, float)
    kept = np.isfinite(x) & np.isfinite(y)
    return Line(line.name, x[kept], y[kept], line.colour, line.dashed, line.opacity, line.width)


def _short(value: float) -> str:
    size = abs(value)
    if size >= 1e6:
        return f"{value / 1e6:g}M"
    if size >= 1e4:
        return f"{value / 1e3:g}k"
    if 0 < size < 1e-3:
        return f"{value:.0e}".replace("e-0", "e-")
    return f"{value:g}"
