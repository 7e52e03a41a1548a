"""Small pieces of HTML; every text from outside goes through `text`."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

NARROW = "\u202f"  # before a unit


@dataclass(frozen=True)
class Section:
    """A part of the report."""

    id: str
    nav: str  # its name in the bar at the top
    title: str
    body: str


@dataclass(frozen=True)
class Missing:
    """A part that is left out, and why."""

    nav: str
    reason: str


@dataclass(frozen=True)
class Bar:
    """One bar of a chart of shares."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    label: str = ""
    kind: str = ""  # "agent", "imagined", "bad", "good" or nothing: a floor


def text(value: object) -> str:
    """Escaped for HTML."""
    return html.escape(str(value), quote=True)


def percent(share: float) -> str:
    """A share as "97.5 %"; whole ones without a decimal."""
    value = round(100 * share, 1)
    return f"{value:.0f}{NARROW}%" if value == round(value) else f"{value:.1f}{NARROW}%"


def number(value: float | None, unit: str = "") -> str:
    """About three digits, thousands apart, with its unit; a dash for None."""
    if value is None or not math.isfinite(value):
        return "–"
    size = abs(value)
    if size >= 1000 or value == round(value):
        shown = f"{value:,.0f}".replace(",", NARROW)
    elif size >= 0.001:
        shown = f"{value:.3g}"
    else:
        shown = f"{value:.1e}" if value else "0"
    return shown + (f"{NARROW}{unit}" if unit else "")


def bars(entries: Sequence[Bar], *, scale: float = 1.0) -> str:
    """Horizontal bars of `value / scale`, each with its name, its whisker and its label."""
    parts = []
    for entry in entries:
        whisker = ""
        if entry.interval is not None:
            low, high = (_clip(end / scale) for end in entry.interval)
            whisker = f'<b style="left:{low:.2%};width:{high - low:.2%}"></b>'
        label = entry.label or percent(entry.value)
        parts.append(
            f"<span>{text(entry.name)}</span>"
            f'<div class="bar {entry.kind}">'
            f'<i style="width:{_clip(entry.value / scale):.2%}"></i>{whisker}</div>'
            f"<span>{text(label)}</span>"
        )
    return f'<div class="bars">{"".join(parts)}</div>'


def facts(entries: Iterable[tuple[str, str]]) -> str:
    """Large numbers, each with what it is."""
    items = "".join(f"<div><dd>{text(value)}</dd><dt>{text(name)}</dt></div>" for name, value in entries)
    return f'<dl class="facts">{items}</dl>'


def card(body: str, title: str = "", kind: str = "") -> str:
    """A framed piece, with a title."""
    heading = f"<h3>{text(title)}</h3>" if title else ""
    return f'<div class="card {kind}">{heading}{body}</div>'


def grid(cards: Iterable[str], kind: str = "") -> str:
    """Cards side by side, as many as fit."""
    return f'<div class="grid {kind}">{"".join(cards)}</div>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, own: int = 0) -> str:
    """A table of texts; the first `own` rows are about the agent."""
    top = "".join(f"<th>{text(cell)}</th>" for cell in head)
    lines = []
    for position, row in enumerate(rows):
        cells = "".join(f"<td>{text(cell)}</td>" for cell in row)
        lines.append(f'<tr class="own">{cells}</tr>' if position < own else f"<tr>{cells}</tr>")
    body = f"<thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'<div class="scroll"><table>{body}</table></div>'


def legend(entries: Sequence[tuple[str, str]], *, dashed: Sequence[str] = ()) -> str:
    """Names beside strokes of a CSS colour: pairs of (name, colour)."""
    items = []
    for name, colour in entries:
        dash = ' stroke-dasharray="4 3"' if name in dashed else ""
        stroke = f'<path d="M0 5H18" style="stroke:{colour};stroke-width:2.5"{dash}/>'
        items.append(f'<li><svg width="18" height="10" aria-hidden="true">{stroke}</svg>{text(name)}</li>')
    return f'<ul class="legend">{"".join(items)}</ul>'


def _clip(share: float) -> float:
    return min(max(share, 0.0), 1.0)
