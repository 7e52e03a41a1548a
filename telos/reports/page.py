"""One HTML file that opens offline: everything is inside it, and its policy lets nothing be fetched."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from telos.files import atomic_path
from telos.reports import episodes, knowledge
from telos.reports.inputs import Inputs, gather
from telos.reports.markup import Missing, Section, percent, text
from telos.reports.style import CSS, DEFINITIONS

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_SECTIONS: tuple[Callable[[Inputs], Section | Missing], ...] = (
    episodes.results,
    episodes.episodes,
    episodes.guardrail,
    knowledge.energy,
    knowledge.planning,
    episodes.failures,
    knowledge.prediction,
    knowledge.probes,
    knowledge.training,
    knowledge.data,
)


def write_report(source: str | Path | Inputs, path: str | Path | None = None, *, title: str = "") -> Path:
    """Write the report of a run's folder (or of inputs) to `path`, atomically; where it is.

    By default it is `report.html` in the folder. What is missing leaves its section out, and the report
    says why. `TelosError` if the folder holds nothing to report or something damaged.
    """
    inputs = source if isinstance(source, Inputs) else gather(source, title=title)
    if path is None:
        if isinstance(source, Inputs):
            raise ValueError("path must be given where the source is not a folder; got None.")
        path = Path(source) / "report.html"
    with atomic_path(path) as aside:
        aside.write_text(render(inputs), encoding="utf-8")
    return Path(path)


def render(inputs: Inputs) -> str:
    """The whole page."""
    made = [build(inputs) for build in _SECTIONS]
    shown = [part for part in made if isinstance(part, Section)]
    missing = [part for part in made if isinstance(part, Missing)]
    links = "".join(f'<a href="#{part.id}">{text(part.nav)}</a>' for part in shown)
    links += '<a href="#settings">Settings</a>'
    body = "".join(
        f'<section id="{part.id}"><h2>{text(part.title)}</h2>{part.body}</section>' for part in shown
    )
    name = _title(inputs)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<title>{text(name)}</title><style>{CSS}</style></head><body>{DEFINITIONS}{_hero(inputs, name)}"
        f'<nav class="sections" aria-label="Sections"><div>{links}</div></nav>'
        f"<main>{body}{_settings(inputs)}</main>{_footer(missing)}</body></html>\n"
    )


def _title(inputs: Inputs) -> str:
    if inputs.title:
        return inputs.title
    found = inputs.evaluation or inputs.guardrail
    world = found.world if found else str(inputs.model.get("model", {}).get("world", ""))
    return f"telos in {world.removeprefix('telos/').removesuffix('-v0')}" if world else "A telos run"


def _hero(inputs: Inputs, name: str) -> str:
    found = inputs.evaluation or inputs.guardrail
    if found is None:
        return f'<header class="hero"><div><h1>{text(name)}</h1></div></header>'
    frames = inputs.model.get("provenance", {}).get("frames")  # not those of the store that is analysed
    learned = f"{frames:,}".replace(",", "\u202f") + " frames of pixels" if frames else "pixels"
    low, high = found.interval
    score = f"{100 * found.success:.1f}".removesuffix(".0")
    given = "shown pictures of goals" if episodes.shown_pictures(found) else "given goals"
    left = (
        f"<h1>{text(name)}</h1>"
        f'<p class="lead">It learned how this world works from {learned} and the actions between them, '
        f"without rewards. Then it was {given}, and planned its way there.</p>"
        f'<div class="score">{score}<small>%</small></div>'
        f"<p>of {found.n} goals reached, in layouts it had never seen "
        f'<span class="small">(95{chr(0x202F)}% interval: {percent(low)} to {percent(high)})</span></p>'
    )
    shown = next((record for record in found.recordings if record.success), None)
    right = episodes.success_bars(found)
    if shown:
        goal = ""
        if shown.goal_frame is not None:
            goal = "the picture it was given, " if episodes.shown_pictures(found) else "how its goal looks, "
        told = f"One of them: {goal}what it did, and what it had imagined."
        right = f'{episodes.film(shown)}<p class="caption">{told}</p>'
    return f'<header class="hero"><div>{left}</div><div>{right}</div></header>'


def _settings(inputs: Inputs) -> str:
    """Configuration, versions and commands, folded away."""
    blocks: list[tuple[str, Any]] = []
    for name, found in (
        ("Evaluation", inputs.evaluation),
        ("Evaluation with the guardrail", inputs.guardrail),
    ):
        if found is not None:
            value = {key: found.to_json()[key] for key in ("command", "config", "versions", "machine")}
            blocks.append((name, value))
    if inputs.model:
        blocks.append(("Model and training", inputs.model))
    if inputs.analysis is not None:
        blocks.append(("Sizes", inputs.analysis.model))
        if inputs.analysis.data is not None:
            blocks.append(("Data", inputs.analysis.data.source))
    folded = "".join(
        f"<details><summary>{text(name)}</summary><div><pre>"
        f"{text(json.dumps(value, indent=2, ensure_ascii=False))}</pre></div></details>"
        for name, value in blocks
    )
    return f'<section id="settings"><h2>Settings and versions</h2>{folded}</section>'


def _footer(missing: list[Missing]) -> str:
    told = "".join(f"<p><strong>{text(part.nav)}.</strong> {text(part.reason)}</p>" for part in missing)
    heading = "<p>Not in this report:</p>" if missing else ""
    return f"<footer>{heading}{told}<p>Made by telos; this file needs no network.</p></footer>"
