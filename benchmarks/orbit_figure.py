"""The figure of the study of six numbers: what is seen, what is kept of it, and how far that carries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks.orbit_measures import HELDOUT_SEED
from telos.worlds import Orbits

COLOURS = {"variance-covariance": "tab:blue", "next frame": "tab:red", "untrained": "gray"}
LABELS = {
    "variance-covariance": "JEPA: predicts its own states",
    "next frame": "predicts pixels",
    "untrained": "learned nothing",
}
NUMBERS = {"x": "x", "y": "y", "z": "z", "vx": r"$\dot x$", "vy": r"$\dot y$", "vz": r"$\dot z$"}
SHOWN = 9  # frames of the first orbit
STEPS = 20  # between two of them
NEAR = 20  # steps ahead that errors by size are shown for, beside the last

Row = Mapping[str, Any]


def six_numbers(result: Row, path: Path) -> None:
    """Pictures; orbits as they were foreseen; R², error by horizon and error by size of the state."""
    setting = result["configuration"]["setting"]
    rows = [row for row in result["rows"] if row["world"] == "all"]
    main = [row for row in rows if row["size"] == setting["size"] and row["method"] in COLOURS]
    figure = Figure(figsize=(12.5, 8.6), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=(0.95, 1.25, 1.6))
    _frames(top.subplots(1, SHOWN))
    kept = min(main, key=lambda row: row["seed"])
    _orbits(middle.subplots(1, len(kept["came"]) + 1), main)
    read, ahead, size = bottom.subplots(1, 3, width_ratios=(1, 1.1, 1.1))
    _read(read, main)
    _ahead(ahead, main, result.get("floors", {}).get("error", {}))
    _sizes(size, [row for row in rows if row["method"] in ("variance-covariance", "next frame")])
    handles, labels = ahead.get_legend_handles_labels()
    bottom.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False, fontsize=9)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def _frames(axes: Sequence[Axes]) -> None:
    """What perception sees: both cameras, the first orbit of those that are measured on."""
    world, rest = Orbits(num=1), np.zeros((1, 1), np.float32)
    source = np.random.SeedSequence(HELDOUT_SEED, spawn_key=(0,))  # of episode 0, as `telos.collect` has it
    frame = world.reset([int(source.generate_state(1)[0])], split="heldout")
    for each in axes:
        picture = frame[0]
        half = picture.shape[1] // 2
        each.imshow(np.concatenate([picture[:, :half], picture[:, half:]]), interpolation="nearest")
        each.set(xticks=[], yticks=[])
        each.axhline(half - 0.5, color="white", lw=1)
        for _ in range(STEPS):
            frame = world.step(rest)


def _orbits(axes: Sequence[Axes], rows: Sequence[Row]) -> None:
    """The first orbits, each in its own plane: where the planet went, and where it was foreseen to go."""
    first = {row["method"]: row for row in sorted(rows, key=lambda row: -row["seed"])}
    for number, each in enumerate(axes[:-1]):
        came = np.array(first["variance-covariance"]["came"][number])
        plane = np.linalg.svd(came)[2][:2]
        each.plot(*(plane @ came.T), color="black", lw=5, alpha=0.15, solid_capstyle="round")
        for name in ("next frame", "variance-covariance"):
            if name in first:
                path = plane @ np.array(first[name]["foreseen"][number]).T
                each.plot(*path, color=COLOURS[name], lw=1.4)
                each.plot(*path[:, -1], ">", color=COLOURS[name], ms=5)
        each.plot(*(plane @ came[0]), "o", color="black", ms=5)
        each.plot(0, 0, "*", color="goldenrod", ms=12)
        each.set(aspect="equal", xticks=[], yticks=[])
        each.margins(0.12)
    for row in rows:
        share = np.maximum(np.array(row["spectrum"]), 1e-5)
        axes[-1].plot(range(1, len(share) + 1), share, ".-", color=COLOURS[row["method"]], lw=1)
    axes[-1].set(yscale="log", xlabel="dimension of the state", ylabel="share of variance")
    axes[-1].grid(alpha=0.25)


def _read(axes: Axes, rows: Sequence[Row]) -> None:
    """R² of each number: a bar is the mean over seeds, a dot a seed."""
    names = [name for name in COLOURS if any(row["method"] == name for row in rows)]
    width = 0.8 / max(len(names), 1)
    for offset, name in enumerate(names):
        values = np.array(
            [[row["r2"][number] for number in NUMBERS] for row in rows if row["method"] == name]
        )
        places = np.arange(len(NUMBERS)) + (offset - (len(names) - 1) / 2) * width
        axes.bar(places, values.mean(0).clip(0), width, color=COLOURS[name], alpha=0.8)
        for each in values:
            axes.plot(places, each.clip(0), ".", color="black", ms=3)
    axes.set(xticks=range(len(NUMBERS)), xticklabels=NUMBERS.values(), ylim=(0, 1.02), ylabel="R²")
    axes.grid(axis="y", alpha=0.25)


def _ahead(axes: Axes, rows: Sequence[Row], floors: Mapping[str, Sequence[float]]) -> None:
    """The error against steps ahead, a line per seed."""
    for name, colour in COLOURS.items():
        mine = [row for row in rows if row["method"] == name]
        for number, row in enumerate(mine):
            axes.plot(
                row["horizon"], row["error"], color=colour, lw=1.3, label=None if number else LABELS[name]
            )
    steps = rows[0]["horizon"]
    for (name, values), style in zip(floors.items(), ("--", ":"), strict=False):
        label = {"stays": "it stays where it is", "mean place": "it is at the star"}[name]
        axes.plot(steps, values, style, color="black", lw=1, label=label)
    axes.set(xlabel="steps ahead", ylabel="error, orbital radii", ylim=(0, 1.6), xlim=(0, steps[-1]))
    axes.grid(alpha=0.25)


def _sizes(axes: Axes, rows: Sequence[Row]) -> None:
    """The error against how many numbers the state has: a line is the mean over seeds, a dot a seed."""
    for name, colour in COLOURS.items():
        mine = [row for row in rows if row["method"] == name]
        for style, step in (("-", NEAR), ("--", rows[0]["horizon"][-1])):
            found: dict[int, list[float]] = {}
            for row in mine:
                found.setdefault(row["size"], []).append(row["error"][row["horizon"].index(step)])
            sizes = sorted(found)
            axes.plot(sizes, [np.mean(found[each]) for each in sizes], style, color=colour, lw=1.3)
            for each in sizes:
                axes.plot([each] * len(found[each]), found[each], ".", color=colour, ms=4)
    axes.axvspan(5.7, 6.3, color="goldenrod", alpha=0.3, lw=0)
    ticks = sorted({row["size"] for row in rows})
    axes.set(xscale="log", ylim=(0, 1.6), xlabel=f"numbers in the state (solid: {NEAR} steps, dashed: 100)")
    axes.set_xticks(ticks, [str(each) for each in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.25)
