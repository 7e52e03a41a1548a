"""The sections of what the model knows: energy, planning, prediction, probes, training, data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from telos.evaluation import OpenLoop, ProbeResult, Recording
from telos.reports.charts import Line, line_chart
from telos.reports.inputs import Inputs
from telos.reports.maps import coverage_map, foretold_map, landscape_map
from telos.reports.markup import Bar, Missing, Section, bars, card, facts, grid, legend, number, text

_METHODS = {
    "constant": "always the mean",
    "linear": "linear probe",
    "mlp": "small network",
    "readout": "the agent's readout",
}
_KINDS = {"readout": "agent", "linear": "imagined", "mlp": "imagined"}
_INDICATORS = {
    "std": ("Standard deviation of the states", "falls to 0 when all states become one"),
    "rank": ("Effective rank (RankMe)", "how many directions of the state are in use"),
    "lidar": ("Effective rank of what tells windows apart (LiDAR)", "noise does not raise it"),
    "within_episode_variance": ("Variance within episodes", "near 0: only what stays fixed is encoded"),
}
_TERMS = {
    "loss": "Total loss",
    "prediction": "Prediction",
    "long_prediction": "Prediction, long horizon",
    "variance": "Variance",
    "covariance": "Covariance",
    "temporal": "Temporal similarity",
    "inverse": "Inverse dynamics",
    "decoder_error": "Decoder, squared error",
}
_DIRECTIONS = 12  # of the state's variance that are drawn
_BOOKKEEPING = {"step", "stage", "cpu_seconds", "seconds", "frames", "epoch", "time"}


def energy(inputs: Inputs) -> Section | Missing:
    """The energy of some goals over the room."""
    drawn = inputs.analysis.landscapes if inputs.analysis else ()
    if not drawn:
        return _missing(
            inputs,
            "Energy",
            "landscapes",
            "There is no energy landscape: it needs an analysis, in a world where a reading has two values.",
        )
    cards = [card(landscape_map(each)) for each in drawn]
    lead = (
        "How far the goal is from everywhere, as the model's states tell: the picture with the dot at each "
        "place was encoded and compared with the goal's. Bright is near. This is all that the planner "
        "descends on."
        if drawn[0].spacing is not None
        else "How far the goal is from each place that recorded frames show, as the model's states tell. "
        "Bright is near."
    )
    note = ""
    if any(each.zones for each in drawn):
        note = '<p class="note">Hatched: the zone that a guardrail forbids. '
        note += "White dashes: where the model, through its readout, believes that zone to begin.</p>"
    return Section(
        "energy",
        "Energy",
        "What a goal looks like from inside",
        f'<p class="lead">{lead}</p>{grid(cards)}{note}',
    )


def planning(inputs: Inputs) -> Section | Missing:
    """Energy against iteration of the search."""
    found = inputs.evaluation or inputs.guardrail
    records = [record for record in found.recordings if record.plans] if found else []
    if not records:
        return Missing("Planning", "No plan was recorded, so there is no search to show.")
    good = [record for record in records if record.success][:2]
    chosen = good + [record for record in records if not record.success][: 3 - len(good)]
    cards = [card(_search(record), _episode(record)) for record in chosen]
    lead = (
        "The energy of the best plan after each iteration of the search: the first plan of an episode is "
        "found from nothing, later ones begin with what is left of the one before."
    )
    key = legend([("first plan", "var(--agent)"), ("later plans", "var(--imagined)")])
    return Section(
        "planning", "Planning", "How a search comes down", f'<p class="lead">{lead}</p>{grid(cards)}{key}'
    )


def prediction(inputs: Inputs) -> Section | Missing:
    """Open-loop error against horizon."""
    found = inputs.analysis.open_loop if inputs.analysis else None
    if found is None:
        return _missing(
            inputs,
            "Prediction",
            "open_loop",
            "Open-loop prediction was not measured: it needs the data and an analysis.",
        )
    steps = np.arange(1, found.horizon + 1) * found.block
    cards = [card(_errors(found, found.state, steps, "share of variance"), "Error of the state")]
    cards += [
        card(_errors(found, errors, steps, errors.unit), f"Error of {name}")
        for name, errors in found.readings.items()
    ]
    lead = (
        f"{found.windows} stretches of held-out episodes, predicted from their first frame with the actions "
        "that were really executed, and compared with what was then seen."
    )
    key = legend(
        [("predicted", "var(--agent)"), ("if nothing changed", "var(--floor)")], dashed=["if nothing changed"]
    )
    return Section(
        "prediction",
        "Prediction",
        _prediction_title(found),
        f'<p class="lead">{lead}</p>{grid(cards, "wide")}{key}{_paths(found)}',
    )


def probes(inputs: Inputs) -> Section | Missing:
    """What can be read from the state."""
    found = inputs.analysis.probes if inputs.analysis else ()
    if not found:
        return _missing(
            inputs,
            "Probes",
            "probes",
            "There are no probes: they need an analysis, and a world with named readings.",
        )
    cards = [card(_probe(found, name), name) for name in dict.fromkeys(each.reading for each in found)]
    lead = (
        "Mean error of reading each quantity off the frozen state, on layouts that neither the model nor the "
        "probe has seen. Nothing of this was trained into the state: labels are used by these heads alone."
    )
    if inputs.analysis and inputs.analysis.open_loop and inputs.analysis.open_loop.spectrum:
        cards.append(card(_spectrum(inputs.analysis.open_loop.spectrum), "Dimensions of the state in use"))
    best = min((each for each in found if each.method != "constant"), key=lambda each: each.error)
    title = f"The state tells {best.reading} to {number(best.error, best.unit)}"
    return Section("probes", "Probes", title, f'<p class="lead">{lead}</p>{grid(cards, "wide")}')


def training(inputs: Inputs) -> Section | Missing:
    """Training curves: collapse indicators first, then probes, then the losses of each stage."""
    if not inputs.metrics:
        return Missing("Training", "There is no metrics.jsonl beside this run, so no training curves.")
    stages: dict[str, list[Mapping[str, Any]]] = {}
    for row in inputs.metrics:
        stages.setdefault(str(row.get("stage", "training")), []).append(row)
    body, watched = "", ""
    for stage, rows in stages.items():
        keys = [key for row in rows for key in row if isinstance(row[key], int | float)]
        names = [key for key in dict.fromkeys(keys) if key not in _BOOKKEEPING]
        indicators = [key for key in names if key in _INDICATORS or key.startswith("probe")]
        watched += "".join(_indicator(rows, key) for key in indicators)
        curves = [_metric(rows, key) for key in names if key not in indicators]
        if curves:
            body += f'<h3 style="margin-top:34px">{text(stage.capitalize())}</h3>{grid(curves, "tight")}'
    lead = (
        "No reward, no label and no goal enters training; the indicators show early if the states collapse."
    )
    top = f'<div class="grid">{watched}</div>' if watched else ""
    seconds = _spent(inputs)
    title = f"Trained in {number(seconds / 60)} CPU-minutes" if seconds and seconds >= 90 else "Training"
    return Section("training", "Training", title, f'<p class="lead">{lead}</p>{top}{body}')


def data(inputs: Inputs) -> Section | Missing:
    """What it was trained on, and what was labelled."""
    found = inputs.analysis.data if inputs.analysis else None
    if found is None:
        return Missing("Data", "The data was not described: that needs an analysis.")
    entries = [
        ("frames", number(found.frames)),
        ("episodes", number(found.episodes)),
        ("of them held out, by layout", number(found.heldout_episodes)),
        ("different layouts", number(found.layouts)),
        ("megabytes of pixels", number(round(found.megabytes))),
    ]
    labels = _labels(inputs)
    told = (
        "Labels: "
        + "; ".join(f"{count} labelled frames for the readout of {name}" for name, count in labels.items())
        if labels
        else "No frame was labelled"
    )
    policy = found.source.get("policy")
    how = f"Collected by {policy}, without rewards. " if policy else ""
    maps = [card(coverage_map(each), f"Where {each.reading} has been") for each in found.coverage]
    actions = [
        [f"action {position}", f"{mean:.3g}", f"{std:.3g}"]
        for position, (mean, std) in enumerate(found.actions)
    ]
    spread = "; ".join(f"{name} has mean {mean} and deviation {std}" for name, mean, std in actions)
    body = (
        f'<p class="lead">{text(how + told)}. Nothing else anywhere was labelled.</p>{facts(entries)}'
        f'{grid(maps)}<p class="note">{text(spread)}.</p>'
    )
    return Section("data", "Data", "What it learned from", body)


def _missing(inputs: Inputs, nav: str, part: str, otherwise: str) -> Missing:
    """A part of the analysis that is not there: what was said when it could not be measured."""
    said = inputs.analysis.missing.get(part) if inputs.analysis else None
    return Missing(nav, otherwise if said is None else f"It could not be measured: {said}")


def _search(record: Recording) -> str:
    lines = []
    for position, plan in enumerate(record.plans):
        first = position == 0
        lines.append(
            Line(
                name=f"plan at step {plan.step}",
                x=np.arange(1, len(plan.trace) + 1),
                y=np.asarray(plan.trace, float),
                colour="var(--agent)" if first else "var(--imagined)",
                opacity=1.0 if first else 0.45,
                width=2.6 if first else 1.3,
            )
        )
    return line_chart([*lines[1:], lines[0]], x_name="iteration", y_name="energy", log=True)


def _episode(record: Recording) -> str:
    return f"Task {record.seed}, {'reached' if record.success else 'failed'}"


def _errors(found: OpenLoop, errors: Any, steps: np.ndarray, unit: str) -> str:
    return line_chart(
        [
            Line("if nothing changed", steps, np.array(errors.unchanged), "var(--floor)", dashed=True),
            Line("predicted", steps, np.array(errors.predicted)),
        ],
        x_name="environment steps ahead",
        y_name=unit,
        from_zero=True,
        size=(480, 250),
    )


def _paths(found: OpenLoop) -> str:
    """The first reading of two or more values on its way: what came, and what was foreseen."""
    name = next((each for each, paths in found.paths.items() if len(paths[0].came[0]) > 1), None)
    if name is None:
        return ""
    down = found.readings[name].unit == "px"
    steps = found.horizon * found.block
    told = f"{steps} steps of {name} from the white dot on; dashed, as it was foreseen there."
    maps = grid([card(foretold_map(path, down=down)) for path in found.paths[name]])
    return f'<p class="note">{text(told)}</p>{maps}'


def _spectrum(shares: Sequence[float]) -> str:
    rows = [
        Bar(f"{place}", share, label=f"{100 * share:.2g} %")
        for place, share in enumerate(shares[:_DIRECTIONS], start=1)
    ]
    enough = int(np.searchsorted(np.cumsum(shares), 0.99)) + 1
    told = f"{enough} of {len(shares)} directions hold 99 % of the variance."
    return bars(rows, scale=shares[0]) + f'<p class="caption">{told}</p>'


def _prediction_title(found: OpenLoop) -> str:
    steps = found.horizon * found.block
    if found.readings:
        name, errors = next(iter(found.readings.items()))
        return f"{steps} steps ahead, {name} is off by {number(errors.predicted[-1], errors.unit)}"
    return f"{steps} steps ahead, the error is {number(found.state.predicted[-1])} of the states' variance"


def _probe(found: Sequence[ProbeResult], name: str) -> str:
    rows = [each for each in found if each.reading == name]
    top = max(max(each.error for each in rows), 1e-12)
    entries = [
        Bar(_METHODS.get(each.method, each.method), each.error, label=number(each.error, each.unit),
            kind=_KINDS.get(each.method, ""))
        for each in rows
    ]  # fmt: skip
    labels = ", ".join(f"{_METHODS.get(each.method, each.method)} {each.labels}" for each in rows)
    return bars(entries, scale=top) + (
        f'<p class="caption">Labelled frames: {text(labels)}. '
        f"Measured on {rows[0].frames} held-out frames.</p>"
    )


def _indicator(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    x, y = _curve(rows, key)
    title, hint = _INDICATORS.get(key, (key.replace("_", " ").capitalize(), "on held-out frames"))
    chart = line_chart([Line(title, x, y, "var(--good)")], x_name="training step", from_zero=True)
    return card(
        f'{chart}<p class="caption"><strong>{number(float(y[-1]))}</strong> at the end; {hint}.</p>', title
    )


def _metric(rows: Sequence[Mapping[str, Any]], key: str) -> str:
    x, y = _curve(rows, key)
    name = _TERMS.get(key, key.replace("_", " ").capitalize())
    chart = line_chart([Line(name, x, y, "var(--imagined)")], x_name="step", log=True, size=(260, 150))
    return card(f"{text(name)}<b>{number(float(y[-1]))}</b>{chart}", kind="metric")


def _curve(rows: Sequence[Mapping[str, Any]], key: str) -> tuple[np.ndarray, np.ndarray]:
    kept = [(row["step"], row[key]) for row in rows if isinstance(row.get(key), int | float)]
    x, y = np.array(kept, float).T
    return x, y


def _labels(inputs: Inputs) -> dict[str, int]:
    for found in (inputs.evaluation, inputs.guardrail):
        if found is not None and found.config.get("labels"):
            return found.config["labels"]
    probed = inputs.analysis.probes if inputs.analysis else ()
    return {each.reading: each.labels for each in probed if each.method == "readout"}


def _spent(inputs: Inputs) -> float | None:
    spent = [row["cpu_seconds"] for row in inputs.metrics if isinstance(row.get("cpu_seconds"), int | float)]
    return max(spent, default=None)
