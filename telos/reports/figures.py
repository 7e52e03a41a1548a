"""Still figures for documents: PNG files drawn with matplotlib's object-oriented interface (Agg)."""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from telos.evaluation import Landscape, Recording
from telos.files import atomic_path
from telos.reports.maps import grid_of, zone_outline

_NIGHT, _PALE, _GOLD, _BLUE, _ROSE = "#0b0d14", "#c9cede", "#ffcf5c", "#93a8ff", "#ff6f8f"


def save_filmstrip(recording: Recording, path: str | Path, *, columns: int = 8) -> None:
    """What was executed, above what the first plan imagined for the same moments; then the goal's picture.

    `ValueError` if the recording has no decoded plan.
    """
    first = next((plan for plan in recording.plans if plan.frames is not None), None)
    if first is None or first.frames is None:
        raise ValueError("recording must have a decoded plan; its model has no decoder. Train one first.")
    last = min(len(first.frames) - 1, (len(recording.frames) - 1 - first.step) // first.block)
    positions = np.unique(np.linspace(0, last, columns).round().astype(int))
    figure = Figure(figsize=(1.25 * (len(positions) + 1.15), 2.9), facecolor=_NIGHT)
    grid = figure.add_gridspec(
        2, len(positions) + 1, left=0.065, right=0.995, top=0.9, bottom=0.02, wspace=0.06, hspace=0.06
    )
    for column, position in enumerate(positions):
        step = first.step + position * first.block
        for row, frame in enumerate((recording.frames[step], first.frames[position])):
            axes = figure.add_subplot(grid[row, column])
            _show(axes, frame)
            if row == 0:
                axes.set_title(f"step {step}", color=_PALE, fontsize=8, pad=4)
            if column == 0:
                axes.set_ylabel(("executed", "imagined")[row], color=(_GOLD, _BLUE)[row], fontsize=9)
    if recording.goal_frame is not None:
        axes = figure.add_subplot(grid[:, len(positions)])
        _show(axes, recording.goal_frame)
        axes.set_title("goal", color=_PALE, fontsize=8, pad=4)
    _save(figure, path)


def save_landscape(landscape: Landscape, path: str | Path, *, recording: Recording | None = None) -> None:
    """The energy of a goal over the room, with the guardrail's zone and, of the same task, the way taken."""
    figure = Figure(figsize=(4.2, 4.2), facecolor=_NIGHT)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    shade = np.sqrt(np.maximum(landscape.energy, 0))
    shade = (shade - shade.min()) / max(float(np.ptp(shade)), 1e-12)
    on_frame = landscape.unit == "px"
    if on_frame:
        axes.imshow(landscape.start_frame, interpolation="nearest")
    if landscape.spacing is None:
        axes.scatter(*landscape.places.T, c=1 - 0.94 * shade, cmap="magma", vmin=0, vmax=1, s=7)
    else:
        xs, ys, index = grid_of(landscape)
        heights = np.full((len(ys), len(xs)), np.nan)
        heights[index] = shade
        half = landscape.spacing / 2
        extent = (xs[0] - half, xs[-1] + half, ys[-1] + half, ys[0] - half)
        colours = matplotlib.colormaps["magma"](1 - 0.94 * np.nan_to_num(heights))
        colours[np.isnan(heights), 3] = 0.0
        axes.imshow(colours, extent=extent, interpolation="nearest")
        axes.contour(
            xs,
            ys,
            np.ma.masked_invalid(heights),
            np.linspace(0.1, 0.9, 9),
            colors="k",
            linewidths=0.5,
            alpha=0.4,
        )
    for zone in landscape.zones:
        for border in zone_outline(zone):
            axes.fill(*border.T, facecolor="none", edgecolor=_ROSE, hatch="////", linewidth=1.4)
    if recording is not None and landscape.reading in recording.readings:
        axes.plot(*recording.readings[landscape.reading].T, color="white", linewidth=1.6)
    axes.plot(*landscape.start, "o", color="white", markersize=6, markeredgecolor=_NIGHT)
    axes.plot(*landscape.goal, "*", color=_GOLD, markersize=15, markeredgecolor=_NIGHT)
    if on_frame:
        height, width, _ = landscape.start_frame.shape
        axes.set_xlim(-0.5, width - 0.5)
        axes.set_ylim(height - 0.5, -0.5)
    else:
        axes.set_aspect("equal")
    _save(figure, path)


def _show(axes: Axes, frame: np.ndarray) -> None:
    axes.imshow(frame if frame.shape[-1] > 1 else frame[..., 0], cmap="gray", interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color("#2a3042")


def _save(figure: Figure, path: str | Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path) as aside:
        figure.savefig(aside, format="png", dpi=160, facecolor=figure.get_facecolor())
