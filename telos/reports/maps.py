"""Maps of a two-dimensional reading as inline SVG: paths, zones, energy, over the room or over bare axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from telos.evaluation import Coverage, Foretold, Landscape, Recording, Zone
from telos.reports.markup import number, text
from telos.reports.pictures import png

_SIZE = 64.0  # of a map without a picture, in its own units


@dataclass(frozen=True)
class Plane:
    """From readings `[..., 2]` to places of an SVG of `width` by `height`.

    Readings in pixels lie on the frame itself (the centre of its first pixel is 0); others are spread over
    a square, with y upwards.
    """

    width: float
    height: float
    scale: tuple[float, float]
    shift: tuple[float, float]

    @staticmethod
    def of_frame(frame: np.ndarray) -> Plane:
        """The plane of a frame's own pixels."""
        return Plane(frame.shape[1], frame.shape[0], (1.0, 1.0), (0.5, 0.5))

    @staticmethod
    def around(points: np.ndarray, *, down: bool = False) -> Plane:
        """A square plane that holds points `[n, 2]`, with some air; `down` is where y grows to."""
        low, high = np.nanmin(points, axis=0), np.nanmax(points, axis=0)
        middle, reach = (low + high) / 2, max(float((high - low).max()) * 0.56, 1e-9)
        factor = _SIZE / (2 * reach)
        rise = factor if down else -factor
        shift = (_SIZE / 2 - float(middle[0]) * factor, _SIZE / 2 - float(middle[1]) * rise)
        return Plane(_SIZE, _SIZE, (factor, rise), shift)

    def place(self, points: np.ndarray) -> np.ndarray:
        """Places `[..., 2]`."""
        return np.asarray(points, float) * np.array(self.scale) + np.array(self.shift)

    def line(self, points: np.ndarray, kind: str) -> str:
        """A polyline of class `kind` through points `[n, 2]`."""
        placed = self.place(points)
        return f'<polyline class="{kind}" points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in placed)}"/>'

    def dot(self, point: np.ndarray, kind: str, radius: float) -> str:
        """A circle of class `kind`, its radius in places."""
        x, y = self.place(point)
        return f'<circle class="{kind}" cx="{x:.2f}" cy="{y:.2f}" r="{radius}"/>'

    def picture(self, address: str, extent: tuple[float, float, float, float], *, smooth: bool) -> str:
        """A picture whose corners lie at readings: least and greatest x, then y."""
        corners = self.place(np.array([[extent[0], extent[2]], [extent[1], extent[3]]]))
        (left, top), (right, bottom) = corners.min(0), corners.max(0)
        crisp = "" if smooth else ' style="image-rendering:pixelated"'
        return (
            f'<image href="{address}" x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" '
            f'height="{bottom - top:.2f}" preserveAspectRatio="none"{crisp}/>'
        )

    def svg(self, parts: Sequence[str], label: str, kind: str = "") -> str:
        """The whole map."""
        return (
            f'<svg class="map {kind}" viewBox="0 0 {self.width:g} {self.height:g}" role="img" '
            f'aria-label="{text(label)}">{"".join(parts)}</svg>'
        )


def plane_reading(readings: Mapping[str, np.ndarray]) -> str | None:
    """The first reading of two values."""
    return next((name for name, values in readings.items() if values.shape[-1] == 2), None)


def episode_map(recording: Recording, *, dreams: bool = True) -> str:
    """Where an episode went, what its plans imagined, its zones, its goal; empty without a plane reading."""
    name = plane_reading(recording.readings)
    plans: list[np.ndarray] = []
    if name is None:
        return ""
    path, goal = recording.readings[name], recording.goal_readings.get(name)
    on_frame = recording.units.get(name) == "px"
    others = [] if goal is None else [goal[None]]
    plane = Plane.of_frame(recording.frames[0]) if on_frame else Plane.around(np.concatenate([path, *others]))
    parts = [_background(plane, recording.frames[0])] if on_frame else []
    parts += [_zone(plane, zone) for zone in recording.zones if zone.reading == name]
    if dreams:
        plans = [plan.readings[name] for plan in recording.plans if name in plan.readings]
        parts += [plane.line(plan, "dream") for plan in plans[1:]]
    if name in recording.without:
        parts.append(plane.line(recording.without[name], "free"))
    parts.append(plane.line(path, "way"))
    if dreams and plans:
        parts.append(plane.line(plans[0], "dream first"))
    if goal is not None:
        parts += _goal(plane, goal)
    parts += [plane.dot(path[0], "start", 1.0), plane.dot(path[-1], "end", 1.0)]
    return plane.svg(parts, f"Path of {name} in episode {recording.seed}")


def foretold_map(path: Foretold, *, down: bool = False) -> str:
    """Where a reading went and where it was foreseen to go; of more than two values, in the way's own plane.

    `down` is where the second value grows to.
    """
    came, foreseen = np.array(path.came), np.array(path.foreseen)
    if came.shape[1] > 2:
        middle = came.mean(0)
        across = np.linalg.svd(came - middle, full_matrices=False)[2][:2].T
        came, foreseen = (came - middle) @ across, (foreseen - middle) @ across
    plane = Plane.around(np.concatenate([came, foreseen]), down=down)
    parts = [plane.line(came, "way"), plane.line(foreseen, "dream first")]
    parts += [plane.dot(came[0], "start", 1.0), plane.dot(came[-1], "end", 1.0)]
    return plane.svg(parts, "Where it went, and where it was foreseen to go")


def landscape_map(landscape: Landscape) -> str:
    """Energy by place: bright is near the goal, lines are of equal energy."""
    on_frame = landscape.unit == "px"
    ends = [landscape.places, landscape.start[None], landscape.goal[None]]
    plane = Plane.of_frame(landscape.start_frame) if on_frame else Plane.around(np.concatenate(ends))
    shade = np.sqrt(np.maximum(landscape.energy, 0))
    shade = (shade - shade.min()) / max(float(np.ptp(shade)), 1e-12)
    colours = matplotlib.colormaps["magma"](1 - 0.94 * shade)
    parts = [_background(plane, landscape.start_frame)] if on_frame else []
    if landscape.spacing is None:
        for (x, y), colour in zip(plane.place(landscape.places), colours, strict=True):
            paint = to_hex(colour)
            parts.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="1" fill="{paint}"/>')
    else:
        xs, ys, index = grid_of(landscape)
        picture = np.zeros((len(ys), len(xs), 4), np.uint8)
        picture[index] = np.rint(255 * colours)
        half = landscape.spacing / 2
        extent = (xs[0] - half, xs[-1] + half, ys[0] - half, ys[-1] + half)
        parts.append(plane.picture(png(picture), extent, smooth=False))
        heights = np.full((len(ys), len(xs)), np.nan)
        heights[index] = shade
        parts += _levels(plane, xs, ys, heights, np.linspace(0.1, 0.9, 9), "level")
        if landscape.violation is not None:
            believed = np.full((len(ys), len(xs)), np.nan)
            believed[index] = landscape.violation
            parts += _levels(plane, xs, ys, believed, [0.0], "believed")
    parts += [_zone(plane, zone) for zone in landscape.zones if zone.reading == landscape.reading]
    parts += [*_goal(plane, landscape.goal), plane.dot(landscape.start, "start", 1.1)]
    label = (
        f"Energy of {landscape.reading} to the goal at {', '.join(number(float(v)) for v in landscape.goal)}"
    )
    return plane.svg(parts, label, "heat")


def coverage_map(coverage: Coverage) -> str:
    """Where the data was: brighter where more often."""
    extent = coverage.extent
    on_frame = coverage.unit == "px"
    corners = np.array([[extent[0], extent[2]], [extent[1], extent[3]]])
    plane = Plane.around(corners, down=on_frame)
    share = coverage.counts / max(float(coverage.counts.max()), 1)
    colours = np.rint(255 * matplotlib.colormaps["magma"](np.sqrt(share) * 0.95)).astype(np.uint8)
    rows = colours if on_frame else colours[::-1]
    return plane.svg(
        [plane.picture(png(np.ascontiguousarray(rows)), extent, smooth=False)],
        f"How often {coverage.reading} was where",
    )


def outline(xs: np.ndarray, ys: np.ndarray, heights: np.ndarray, levels: Sequence[float]) -> list[np.ndarray]:
    """Lines `[n, 2]` where heights `[len(ys), len(xs)]` cross the levels; NaN is left out."""
    inside = [level for level in levels if np.nanmin(heights) < level < np.nanmax(heights)]
    if not inside:
        return []
    axes = Figure().add_subplot()
    drawn = axes.contour(xs, ys, np.ma.masked_invalid(heights), levels=sorted(inside))
    return [segment for level in drawn.allsegs for segment in level if len(segment) > 1]


def zone_outline(zone: Zone) -> list[np.ndarray]:
    """The border of where a guardrail is violated, as closed lines `[n, 2]`."""
    rows, columns = zone.violation.shape
    xs, ys = np.linspace(*zone.extent[:2], columns), np.linspace(*zone.extent[2:], rows)
    # A rim of no violation around the map closes the lines that would end at its edge.
    low = min(float(zone.violation.min()), -1e-6)
    heights = np.pad(zone.violation, 1, constant_values=low)
    around = [np.concatenate([[a[0] - 1e-3], a, [a[-1] + 1e-3]]) for a in (xs, ys)]
    return outline(around[0], around[1], heights, [0.0])


def _zone(plane: Plane, zone: Zone) -> str:
    paths = []
    for border in zone_outline(zone):
        placed = plane.place(border)
        paths.append("M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in placed) + "Z")
    return f'<path class="zone" d="{"".join(paths)}"/>' if paths else ""


def _levels(
    plane: Plane,
    xs: np.ndarray,
    ys: np.ndarray,
    heights: np.ndarray,
    levels: Sequence[float] | np.ndarray,
    kind: str,
) -> list[str]:
    return [plane.line(segment, kind) for segment in outline(xs, ys, heights, [*levels])]


def _goal(plane: Plane, goal: np.ndarray) -> list[str]:
    """A ring with a cross; a line along what a goal leaves free (NaN)."""
    x, y = plane.place(goal)
    if np.isnan(goal).any():
        line = f"M0 {y:.2f}H{plane.width:g}" if np.isnan(x) else f"M{x:.2f} 0V{plane.height:g}"
        return [f'<g class="under"><path class="goal" d="{line}"/></g>', f'<path class="goal" d="{line}"/>']
    cross = f"M{x - 2.6:.2f} {y:.2f}h1.6m2 0h1.6M{x:.2f} {y - 2.6:.2f}v1.6m0 2v1.6"
    ring = plane.dot(goal, "goal", 1.8)
    return [
        f'<g class="under">{ring}<path class="goal" d="{cross}"/></g>',
        ring,
        f'<path class="goal" d="{cross}"/>',
    ]


def _background(plane: Plane, frame: np.ndarray) -> str:
    return (
        f'<image href="{png(frame)}" width="{plane.width:g}" height="{plane.height:g}" '
        'style="image-rendering:pixelated"/>'
    )


def grid_of(landscape: Landscape) -> tuple[np.ndarray, np.ndarray, tuple[np.ndarray, np.ndarray]]:
    """The grid's coordinates along x and y, and each place's row and column in it."""
    assert landscape.spacing is not None
    low, high = landscape.places.min(0), landscape.places.max(0)
    xs, ys = (np.arange(low[axis], high[axis] + landscape.spacing / 2, landscape.spacing) for axis in (0, 1))
    column, row = np.rint((landscape.places - low) / landscape.spacing).astype(int).T
    return xs, ys, (row, column)
