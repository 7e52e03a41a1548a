"""The figures of results/*.json: `python -m benchmarks.figures`. What has no file yet is left out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.orbit_figure import six_numbers
from benchmarks.sections import PLACES, WORLDS

ROOT = Path(__file__).parent.parent


def planners(result: Mapping[str, Any], path: Path) -> None:
    """Above, energy against CPU-seconds per plan; below, success against them; a column per world."""
    worlds = [world for world in result["settings"] if any(row["world"] == world for row in result["rows"])]
    figure = Figure(figsize=(4.4 * len(worlds), 7.2), layout="constrained")
    names = list(dict.fromkeys(row["planner"] for row in result["rows"]))
    colours = dict(zip(names, matplotlib.colormaps["tab20"].colors, strict=False))
    axes = figure.subplots(2, len(worlds), squeeze=False)
    for column, world in enumerate(worlds):
        rows = [row for row in result["rows"] if row["world"] == world]
        _energies(axes[0][column], rows, colours)
        _successes(axes[1][column], rows, colours, result["recipes"].get(world))
        axes[0][column].set_title(WORLDS[world])
    axes[0][0].set_ylabel("energy of the first plan,\nas a share of resting")
    axes[1][0].set_ylabel("success")
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=130)


def _energies(axes: Axes, rows: list[dict[str, Any]], colours: Mapping[str, Any]) -> None:
    for name, colour in colours.items():
        mine = sorted(
            (row for row in rows if row["planner"] == name and row["measure"] == "energy"),
            key=lambda row: row["cpu_seconds_per_plan"],
        )
        seconds = [row["cpu_seconds_per_plan"] for row in mine]
        axes.plot(seconds, [row["energy"] for row in mine], "o-", ms=3, lw=1.3, color=colour, label=name)
    axes.set(xscale="log", yscale="log", xlabel="CPU-seconds per plan")
    axes.grid(alpha=0.25)


def _successes(
    axes: Axes, rows: list[dict[str, Any]], colours: Mapping[str, Any], recipe: Mapping[str, Any] | None
) -> None:
    for row in rows:
        if row["measure"] == "success":
            _point(axes, row, colours[row["planner"]], "o")
    if recipe is not None:
        _point(axes, recipe, "black", "*")
    axes.set(xscale="log", ylim=(-0.03, 1.03), xlabel="CPU-seconds per plan (the star is the recipe)")
    axes.grid(alpha=0.25)


def _point(axes: Axes, row: Mapping[str, Any], colour: Any, marker: str) -> None:
    low, high = row["interval"]
    error = [[row["success"] - low], [high - row["success"]]]
    axes.errorbar(row["cpu_seconds_per_plan"], row["success"], error, fmt=marker, ms=6, lw=0.8, color=colour)


def collapse(result: Mapping[str, Any], path: Path) -> None:
    """Each indicator against updates, a column per family; a line is the mean over seeds."""
    families = {"with a teacher": ("V-JEPA", "BYOL"), "with classes": ("DINO",), "by terms": ("var", "Info")}
    indicators = {"embedding_spread": "spread of embeddings' directions", "std": "deviation of states"}
    figure = Figure(figsize=(4.6 * len(families), 6.4), layout="constrained")
    axes = figure.subplots(len(indicators), len(families), squeeze=False, sharey="row", sharex=True)
    names = list(dict.fromkeys(row["method"] for row in result["rows"]))
    for column, (family, begins) in enumerate(families.items()):
        for name in (name for name in names if name.startswith(begins)):
            mine = [row for row in result["rows"] if row["method"] == name]
            for line, indicator in enumerate(indicators):
                if indicator not in mine[0]:
                    continue
                values = [
                    sum(each) / len(mine) for each in zip(*(row[indicator] for row in mine), strict=True)
                ]
                axes[line][column].plot(mine[0]["step"], values, lw=1.5, label=name)
        axes[0][column].set_title(family)
        for each in axes:
            each[column].set_yscale("log")
        axes[-1][column].set_xlabel("updates")
        axes[-1][column].legend(fontsize=8, frameon=False)
    for line, label in enumerate(indicators.values()):
        axes[line][0].set_ylabel(label)
        for each in axes[line]:
            each.grid(alpha=0.25)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


KINDS = {
    "regularised": "tab:blue",
    "distilled": "tab:green",
    "contrastive": "tab:purple",
    "generative": "tab:red",
    "untrained": "gray",
}


def representation(result: Mapping[str, Any], path: Path) -> None:
    """What each method knows (left) and what can be planned with it (right), a row of pictures per world.

    A filled dot is the mean over seeds beside inverse dynamics, a hollow one by the method alone.
    """
    worlds = [world for world in PLACES if any(row["world"] == world for row in result["rows"])]
    rows = [row for row in result["rows"] if row["group"] != "ablation"]
    names = list(dict.fromkeys(row["method"].removesuffix(", alone") for row in rows))
    names.sort(key=lambda name: [*KINDS].index(_kind(rows, name)), reverse=True)
    figure = Figure(figsize=(10.5, 3.4 * len(worlds)), layout="constrained")
    axes = figure.subplots(len(worlds), 2, squeeze=False, sharey=True, sharex="col")
    for line, world in enumerate(worlds):
        for column, measure in enumerate(("probe_px", "success")):
            for place, name in enumerate(names):
                for suffix, filled in (("", True), (", alone", False)):
                    values = [
                        row[measure]
                        for row in rows
                        if (row["method"], row["world"]) == (name + suffix, world)
                    ]
                    _spread(axes[line][column], values, place, KINDS[_kind(rows, name)], filled=filled)
        floor = next(row["probe_floor_px"] for row in rows if row["world"] == world)
        axes[line][0].axvline(floor, color="black", lw=0.8, ls=":")
        axes[line][0].set(xscale="log", yticks=range(len(names)), yticklabels=names, ylabel=PLACES[world])
        for each in axes[line]:
            each.grid(alpha=0.25)
            each.tick_params(labelsize=8)
    axes[-1][0].set_xlabel("error of the dot's place, px (dotted: always its mean)")
    axes[-1][1].set(xlabel="success of plans", xlim=(-0.03, 1.03))
    handles = [Line2D([], [], marker="o", ls="", color=colour, label=kind) for kind, colour in KINDS.items()]
    handles.append(Line2D([], [], marker="o", ls="", color="black", mfc="white", label="by itself"))
    figure.legend(handles=handles, loc="outside lower center", ncols=6, frameon=False, fontsize=8)
    FigureCanvasAgg(figure)
    figure.savefig(path, dpi=110)


def _kind(rows: list[dict[str, Any]], name: str) -> str:
    return next(row["kind"] for row in rows if row["method"].removesuffix(", alone") == name)


def _spread(axes: Axes, values: list[float], place: float, colour: str, *, filled: bool) -> None:
    """The mean of what seeds gave, and how far they are apart."""
    if values:
        shift = 0.15 if filled else -0.15
        axes.plot([min(values), max(values)], [place + shift] * 2, color=colour, lw=1.2)
        mean = sum(values) / len(values)
        axes.plot(mean, place + shift, "o", ms=5, color=colour, mfc=colour if filled else "white")


FIGURES = {
    "planners": planners,
    "collapse": collapse,
    "representation": representation,
    "six_numbers": six_numbers,
}


def main() -> None:
    """Draw what there are results of."""
    for name, draw in FIGURES.items():
        path = ROOT / "results" / f"{name}.json"
        if path.exists():
            draw(json.loads(path.read_text()), ROOT / "docs" / "images" / f"{name}.png")


if __name__ == "__main__":
    main()
