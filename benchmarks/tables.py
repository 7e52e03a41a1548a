"""The tables of README and docs, of results/*.json: `python -m benchmarks.tables [--check]`.

Without `--check` it writes each table between its markers. With it, it exits with 1 where a page says
something else than the files do. What has no file yet is left out.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import sections

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- results: made by `python -m benchmarks.tables` -->", "<!-- /results -->"
PAGES = {
    "planners": ("docs/actor.md", sections.planners),
    "safety": ("docs/guardrails.md", sections.safety),
    "training": ("docs/benchmarks.md", sections.training),
    "planning_lewm": ("docs/benchmarks.md", sections.planning),
    "representation": ("docs/representation.md", sections.representation),
    "six_numbers": ("docs/six-numbers.md", sections.six_numbers),
    "planning_peers": ("docs/benchmarks.md", sections.peers),
}
"""Results that have a table on a page of their own, between markers of their name."""
ROWS = {
    "two_rooms": "TwoRooms, walls never seen, the demo's recipe",
    "two_rooms_long": "TwoRooms, walls never seen, the longer recipe",
    "four_rooms": "FourRooms, goals in adjacent rooms, by the model of TwoRooms",
    "reacher": "Reacher-v5 (MuJoCo), goals are images of arm poses",
    "guardrail": "TwoRooms with a forbidden zone across the straight way, the demo's recipe",
}
HEADER = (
    "| task | success | 95 % interval | n | trained models | doing nothing | acting at random "
    "| model evaluations per plan | CPU-seconds per plan |\n|---|---|---|---|---|---|---|---|---|"
)


PICTURES = {
    "filmstrip": "An episode in a layout never seen: what happened, above what was imagined.",
    "landscape": "The energy of every place in the room, for one goal, as the state sees it.",
}


def pictures(folder: Path) -> str:
    """The still pictures that there are, as Markdown; `telos report RUN --figures docs/images` draws them."""
    found = [name for name in PICTURES if (folder / f"{name}.png").exists()]
    return "".join(f"![{PICTURES[name]}](docs/images/{name}.png)\n\n" for name in found)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """The section as Markdown, from the content of the files by name."""
    if not any(name in results for name in ROWS):
        return "No results yet: the experiments write `results/NAME.json`."
    lines = [HEADER]
    for name, title in ROWS.items():
        if name in results:
            lines.append(_row(f"[{title}](results/{name}.json)", results[name]))
    if "guardrail" in results:
        lines += ["", _guardrail(results["guardrail"])]
    commands = [
        f"- {ROWS[name]}: `{results[name]['command']}`"
        for name in ROWS
        if results.get(name, {}).get("command")
    ]
    return "\n".join([*lines, "", "Made by:", "", *commands] if commands else lines)


def _row(title: str, result: Mapping[str, Any]) -> str:
    low, high = result["interval"]
    cells = (
        title,
        f"**{_percent(result['success'])}**",
        f"{_percent(low)} to {_percent(high)}",
        f"{result['n']}",
        f"{len(result['training']['seeds'])}",
        _percent(result["noop"]),
        _percent(result["random"]),
        f"{result['evaluations_per_plan']:,.0f}",
        f"{result['cpu_seconds_per_plan']:.3f}",
    )
    return f"| {' | '.join(cells)} |"


def _guardrail(result: Mapping[str, Any]) -> str:
    return (
        f"The forbidden zone was truly entered in {_percent(result['violations'])} of the episodes. "
        f"The same goals planned without the guardrail enter it in {_percent(result['violations_without'])} "
        f"and succeed in {_percent(result['success_without'])}."
    )


def _percent(share: float | None) -> str:
    return "not measured" if share is None else f"{100 * share:.1f} %"


def read(folder: Path) -> dict[str, dict[str, Any]]:
    """The content of each results/NAME.json that there is."""
    return {file.stem: json.loads(file.read_text()) for file in sorted(folder.glob("*.json"))}


def section(root: Path) -> str:
    """What stands between the README's markers."""
    return pictures(root / "docs" / "images") + table(read(root / "results"))


def filled(page: str, section: str, name: str = "results") -> str:
    """A page with `section` between the markers of this name."""
    first, last = BEGIN.replace("results", name), END.replace("results", name)
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end:
        raise ValueError(f"the page must hold the lines {first} and {last}.")
    return f"{before}{first}\n{section}\n{last}{after}"


def pages(root: Path) -> dict[Path, str]:
    """What every page with tables should hold."""
    results = read(root / "results")
    found = {root / "README.md": filled((root / "README.md").read_text(), section(root))}
    for name, (page, table_of) in PAGES.items():
        path, told = root / page, table_of(results[name]) if name in results else "Not measured yet."
        found[path] = filled(found.get(path, path.read_text()), told, name)
    return found


def main() -> None:
    """Write the tables, or compare them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare only; exit with 1 where they differ")
    check = parser.parse_args().check
    for path, wanted in pages(ROOT).items():
        if wanted == path.read_text():
            continue
        if check:
            sys.exit(f"{path.name} does not say what results/*.json do; run `python -m benchmarks.tables`.")
        path.write_text(wanted)


if __name__ == "__main__":
    main()
