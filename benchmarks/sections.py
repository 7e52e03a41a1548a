"""The tables of studies and comparisons, as Markdown, of results/*.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from telos.evaluation import wilson

Result = Mapping[str, Any]

WORLDS = {"two_rooms": "TwoRooms", "four_rooms": "FourRooms", "reacher": "Reacher-v5"}


def planners(result: Result) -> str:
    """Energy and success of every planner in every world."""
    parts = []
    for world, setting in result["settings"].items():
        rows = [row for row in result["rows"] if row["world"] == world]
        if not rows:
            continue
        budgets = setting["budgets"]
        ends = [f"energy at {budget:,}" for budget in budgets]
        head = ["planner", *ends, "CPU-s", "success", "95 % interval", "evaluations", "CPU-s"]
        lines = [_line(head), _line(["---"] * len(head))]
        for name in dict.fromkeys(row["planner"] for row in rows):
            mine = [row for row in rows if row["planner"] == name]
            energies = {row["budget"]: row for row in mine if row["measure"] == "energy"}
            cells = [f"{energies[budget]['energy']:.4f}" if budget in energies else "" for budget in budgets]
            seconds = (
                f"{energies[budgets[-1]]['cpu_seconds_per_plan']:.3f}" if budgets[-1] in energies else ""
            )
            reached = next((row for row in mine if row["measure"] == "success"), None)
            lines.append(_line([f"`{name}`", *cells, seconds, *_success(reached)]))
        if world in result["recipes"]:
            recipe = result["recipes"][world]
            lines.append(
                _line([f"the recipe `{setting['recipe']}`", *[""] * len(budgets), "", *_success(recipe)])
            )
        reached = next((row["n"] for row in rows if row["measure"] == "success"), 0)
        parts.append(f"**{WORLDS[world]}** ({setting['tasks']} first plans; {reached} episodes):")
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, f"Made by `{result['command']}`; [file](../results/planners.json)."])


def safety(result: Result) -> str:
    """Violations against what was asked, beside baselines, and what the guardrail costs."""
    head = ["", "buffer", "episodes with a true violation", "95 % interval", "n", "success", "more steps"]
    lines = [_line(head), _line(["---"] * len(head))]
    free, *others = result["baselines"]
    rows = [("no guardrail", free), *((row["name"], row) for row in others)]
    rows += [(f"**calibrated, alpha {row['alpha']:g}**", row) for row in result["alphas"]]
    for name, row in [*rows, ("oracle", result["oracle"])]:
        cells = (
            name,
            f"{row['buffer']:.2f}" if "buffer" in row else "",
            _percent(row["violations"]),
            _interval(row["interval"]),
            f"{row['n']}",
            _percent(row["success"]),
            f"{row['more_steps']:+.1f}" if "more_steps" in row else "",
        )
        lines.append(_line(cells))
    told = (
        f"The oracle is {result['oracle']['name']}. More steps: than the same tasks took without a "
        "guardrail, where both arrived."
    )
    return "\n".join([*lines, "", told, f"Made by `{result['command']}`; [file](../results/safety.json)."])


def planning(result: Result) -> str:
    """What telos and stable-worldmodel's planner need, with the same weights."""
    head = ["", "telos", "stable-worldmodel", "ratio"]
    lines = [_line(head), _line(["---"] * len(head))]
    for threads in (1, 2):
        one = result[f"threads_{threads}"]
        ours, theirs = one["cpu_seconds_per_plan"], one["peer_cpu_seconds_per_plan"]
        label = f"the same candidates, CPU-seconds, {threads} thread{'s' if threads > 1 else ''}"
        lines.append(_line([label, f"{ours:.1f}", f"{theirs:.1f}", f"{theirs / ours:.1f}"]))
        planned = one["planner_cpu_seconds_per_plan"]
        label = f"its own plan, CPU-seconds, {threads} thread{'s' if threads > 1 else ''}"
        lines.append(_line([label, f"{planned:.2f}", f"{theirs:.1f}", f"{theirs / planned:.1f}"]))
    energies = (result["energy"], result["peer_energy"])
    lines.append(
        _line([f"energy of the plan, median of {result['states']}", *(f"{e:.3f}" for e in energies), ""])
    )
    bounded = (result["energy_within_bounds"], result["peer_energy_as_executed"])
    label = "energy as executed: steps no longer than the world's"
    lines.append(_line([label, *(f"{e:.3f}" for e in bounded), ""]))
    rises = (result["peak_rise_megabytes"], result["peer_peak_rise_megabytes"])
    lines.append(
        _line(
            [
                "memory that a plan of frames of 224 px adds, MB (random weights)",
                *(f"{rise:.0f}" for rise in rises),
                f"{rises[1] / rises[0]:.1f}",
            ]
        )
    )
    return "\n".join(
        [*lines, "", "Made by `python -m benchmarks.planning`; [file](../results/planning_lewm.json)."]
    )


TRAINED = {
    "eb_jepa": "EB-JEPA, two rooms, 65x65",
    "torch_world": "torch_world, LeWM, 32x32, 64 numbers",
    "torch_world_192": "torch_world, LeWM, 32x32, 192 numbers",
    "stable_worldmodel": "stable-worldmodel, LeWM, 64x64, patches of 8",
}


def training(result: Result) -> str:
    """Frames per CPU-second of telos and each peer on the peer's model, and of telos' own recipes."""
    head = [
        "the model of",
        "threads",
        "MFLOPs per frame",
        "telos",
        "peer",
        "ratio",
        "with data",
        "both bf16",
        "both fp32",
        "share of floor",
        "peer's share",
    ]
    lines = [_line(head), _line(["---"] * len(head))]
    for name, title in TRAINED.items():
        for part, told in result["shapes"][name].items():
            if not part.startswith("threads_"):
                continue
            ours, theirs = told[told["ours"]], told[told["peer"]]
            cells = (
                title,
                part.removeprefix("threads_"),
                f"{ours['flops_per_frame'] / 1e6:,.0f}",
                f"{ours['frames_per_cpu_second']:,.0f} ({ours['precision']})",
                f"{theirs['frames_per_cpu_second']:,.0f} ({theirs['precision']})",
                f"**{told['ratio']:.2f}**",
                f"{told['ratio_with_data']:.2f}",
                f"{told['ratio_bf16']:.2f}" if "ratio_bf16" in told else "",
                f"{told['ratio_fp32']:.2f}",
                _percent(ours["share_of_floor"]),
                _percent(theirs["share_of_floor"]),
            )
            lines.append(_line(cells))
    head = ["recipe", "threads", "batch", "MFLOPs per frame", "frames per CPU-second", "share of floor"]
    lines += ["", _line(head), _line(["---"] * len(head))]
    for name, entry in result["recipes"].items():
        for part, told in entry.items():
            if not part.startswith("threads_"):
                continue
            cells = (
                f"`{name}`",
                part.removeprefix("threads_"),
                f"{entry['batch']}",
                f"{told['flops_per_frame'] / 1e6:,.1f}",
                f"{told['frames_per_cpu_second_with_data']:,.0f}",
                _percent(told["share_of_floor"]),
            )
            lines.append(_line(cells))
    return "\n".join([*lines, "", f"Made by `{result['command']}`; [file](../results/training.json)."])


def peers(result: Result) -> str:
    """telos' planners on the models of EB-JEPA and torch_world, as shares of what the peer's CEM takes."""
    parts = []
    for name, title in (("eb_jepa", "EB-JEPA"), ("torch_world", "torch_world")):
        told = result[name]
        head = [
            "planner",
            "rows",
            "CPU-seconds",
            "ms per row",
            "energy, as a share of the peer's",
            "no worse in",
        ]
        lines = [_line(head), _line(["---"] * len(head))]
        for row in sorted(told["rows"], key=lambda row: (row["planner"] != told["peer"], -row["share"])):
            cells = (
                row["planner"] if row["planner"] == told["peer"] else f"`{row['planner']}`",
                f"{row['rows']:,.0f}",
                f"{row['cpu_seconds']:.2f}",
                f"{row['cpu_milliseconds_per_row']:.3f}",
                f"{row['energy_over_peers']:.3f}",
                f"{row['starts_no_worse']} of {row['starts']}",
            )
            lines.append(_line(cells))
        best = told["cheapest_no_worse"]
        end = f"**{title}**: the peer takes {told['ratio_per_row']:.1f} times the CPU time per row"
        if best is not None:
            end += f", and {told['ratio_same_energy']:.1f} times that of `{best['planner']}` with "
            end += (
                f"{100 * best['share']:.3g} % of its rows, whose energies are no higher (by more than 0.1 %)"
            )
        parts += [f"{end}.", "\n".join(lines)]
    return "\n\n".join([*parts, f"Made by `{result['command']}`; [file](../results/planning_peers.json)."])


GROUPS = {
    "beside": "Every method beside the same inverse dynamics and temporal similarity",
    "alone": "Every method by itself",
    "ablation": "The recipe with one thing changed",
}
PLACES = {"clean": "As it is", "television": "With a television", "background": "On a moving background"}


def representation(result: Result) -> str:
    """What each method knows and what can be planned with it, in every world; seeds together."""
    parts = [_in_all_worlds(result["rows"])]
    for world, place in PLACES.items():
        rows = [row for row in result["rows"] if row["world"] == world]
        for group, title in GROUPS.items():
            mine = [row for row in rows if row["group"] == group]
            if group == "ablation":
                mine = [row for row in rows if row["method"] == "variance-covariance"] + mine
            if any(row["group"] == group for row in mine):
                parts += [f"**{place}. {title}:**", _methods(mine, group)]
    floors = [(row["noop"], row["random"], row["probe_floor_px"]) for row in result["rows"]]
    noop, random, probe = (sum(each) / len(floors) for each in zip(*floors, strict=True))
    told = (
        f"The floors: doing nothing {_percent(noop)}, acting at random {_percent(random)}, always telling "
        f"the mean place {probe:.1f} px. Probe: a small network on 2,000 labels, held-out layouts. Ahead: "
        "the error of where the readout says that the dot is, five blocks (20 steps) on. Deviation: of "
        "states of held-out episodes. All of these and RankMe are means over seeds; success is of all seeds' "
        "tasks together, and so is its interval, which says nothing of what another training would give. "
        "After the stroke, where there are several: the worst seed."
    )
    return "\n\n".join(
        [*parts, told, f"Made by `{result['command']}`; [file](../results/representation.json)."]
    )


def _in_all_worlds(rows: list[Any]) -> str:
    """Each method's probe errors and successes, beside inverse dynamics and alone, world by world."""
    told = [("probe", "probe_px", ""), ("success", "success", "")]
    if any(row["group"] == "alone" for row in rows):
        told.append(("probe, alone", "probe_px", ", alone"))
    head = ["method", "kind", *(f"{what}: {place.lower()}" for what, *_ in told for place in PLACES.values())]
    lines = [_line(head), _line(["---"] * len(head))]
    for name in dict.fromkeys(row["method"] for row in rows if row["group"] == "beside"):
        cells = [name, next(row["kind"] for row in rows if row["method"] == name)]
        for _, key, suffix in told:
            for world in PLACES:
                found = [row[key] for row in rows if (row["method"], row["world"]) == (name + suffix, world)]
                mean = sum(found) / len(found) if found else 0.0
                shown = _percent(mean) if key == "success" else f"{mean:.2g} px"
                cells.append(shown if found else "")
        lines.append(_line(cells))
    return "\n".join(lines)


def _methods(rows: list[Any], group: str) -> str:
    head = ["method", "kind", "probe, px", "RankMe", "deviation", "ahead, px", "success", "95 % interval"]
    head += ["n", "CPU-s"]
    lines = [_line(head), _line(["---"] * len(head))]
    for name in dict.fromkeys(row["method"] for row in rows):
        mine = [row for row in rows if row["method"] == name]
        ahead = [row["open_loop_px"][4] for row in mine]
        n = sum(row["n"] for row in mine)
        successes = sum(round(row["success"] * row["n"]) for row in mine)
        worst = f" / {_percent(min(row['success'] for row in mine))}" if len(mine) > 1 else ""
        collapsed = sum(row["collapsed"] for row in mine)
        label = "the recipe" if group == "ablation" and name == "variance-covariance" else name
        cells = (
            label + (f" (collapsed: {collapsed} of {len(mine)})" if collapsed else ""),
            mine[0]["kind"],
            _mean_and_worst([row["probe_px"] for row in mine], max),
            _mean_and_worst([row["rankme"] for row in mine], min),
            _mean_and_worst([row["std"] for row in mine], min),
            _mean_and_worst(ahead, max),
            f"**{_percent(successes / n)}**{worst}",
            _interval(wilson(successes, n)),
            f"{n}",
            f"{sum(row['cpu_seconds_of_training'] for row in mine) / len(mine):.0f}",
        )
        lines.append(_line(cells))
    return "\n".join(lines)


def six_numbers(result: Result) -> str:
    """What each method reads and foresees of an orbit, by method, size of the state and nuisance."""
    size = result["configuration"]["setting"]["size"]
    rows = [row for row in result["rows"] if row["world"] == "all"]
    head = [
        "method",
        "kind",
        *(f"R² {number}" for number in ("x", "y", "z", "vx", "vy", "vz")),
        "**mean R²**",
    ]
    head += ["dimensions", "error, 20 steps", "48", "**100**", "95 % interval", "seeds", "CPU-s"]
    lines = [_line(head), _line(["---"] * len(head))]
    for told in result["methods"]:
        mine = [row for row in rows if row["method"] == told["method"] and row["size"] == size]
        cells = (
            told["method"],
            told["kind"],
            *(f"{value:.3f}" for value in told["r2"].values()),
            f"**{told['mean_r2']:.3f}**",
            f"{told['effective_rank']:.1f}",
            *(f"{_error(mine, step):.2f}" for step in (20, 48)),
            f"**{told['error_100']:.2f}**",
            "{:.2f} to {:.2f}".format(*told["error_100_interval"]),
            f"{told['seeds']}",
            f"{told['cpu_seconds_of_training']:.0f}",
        )
        lines.append(_line(cells))
    names = ("variance-covariance", "next frame")
    parts = ["\n".join(lines), _orbit_floors(result["floors"]), "**By how many numbers the state has:**"]
    sizes = sorted({row["size"] for row in rows})
    parts.append(
        _beside(names, "numbers", {f"{each}": [r for r in rows if r["size"] == each] for each in sizes})
    )
    worlds = {row["world"]: [] for row in result["rows"] if row["size"] == size}
    for row in result["rows"]:
        if row["size"] == size and row["seed"] == min(each["seed"] for each in result["rows"]):
            worlds[row["world"]].append(row)
    parts += ["**By what there is to see beside the planet** (one seed):", _beside(names, "seen", worlds)]
    return "\n\n".join([*parts, f"Made by `{result['command']}`; [file](../results/six_numbers.json)."])


def _orbit_floors(floors: Result) -> str:
    steps = (0, 20, 48, 100)
    errors = "; ".join(
        f"{name}: {', '.join(f'{values[step // 4]:.2f}' for step in steps)}"
        for name, values in floors["error"].items()
    )
    probes = ", ".join(f"{name} {found['mean_r2']:.2f}" for name, found in floors["probes"].items())
    return (
        f"Floors. Errors at {', '.join(f'{step}' for step in steps)} steps, from the true present: {errors}. "
        f"Mean R² of linear probes: {probes}."
    )


def _beside(names: Any, title: str, groups: Mapping[str, list[Any]]) -> str:
    """Two methods beside each other, a line per group of rows."""
    wanted = ("mean R²", "error, 20 steps", "100 steps")
    head = [title, *(f"{name}: {each}" for name in names for each in wanted)]
    lines = [_line(head), _line(["---"] * len(head))]
    for group, rows in groups.items():
        cells = [group]
        for name in names:
            mine = [row for row in rows if row["method"] == name]
            mean = sum(row["mean_r2"] for row in mine) / len(mine) if mine else None
            found = (_error(mine, 20), _error(mine, 100)) if mine else ()
            cells += [""] * 3 if mean is None else [f"{mean:.3f}", *(f"{each:.2f}" for each in found)]
        lines.append(_line(cells))
    return "\n".join(lines)


def _error(rows: list[Any], step: int) -> float:
    """The mean over rows of the median error this many steps ahead."""
    return sum(row["error"][row["horizon"].index(step)] for row in rows) / len(rows)


def _mean_and_worst(values: list[float], worst: Any) -> str:
    mean = f"{sum(values) / len(values):.2f}"
    return f"{mean} / {worst(values):.2f}" if len(values) > 1 else mean


def _success(row: Result | None) -> list[str]:
    if row is None:
        return [""] * 4
    return [
        _percent(row["success"]),
        _interval(row["interval"]),
        f"{row['evaluations']:,.0f}",
        f"{row['cpu_seconds_per_plan']:.3f}",
    ]


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(ends: Any) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f} %"
