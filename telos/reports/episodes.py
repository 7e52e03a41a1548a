"""The sections of what the agent did: results, episodes beside what was imagined, guardrails, failures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from telos.evaluation import Evaluation, ImaginedPlan, Recording, TaskRow, wilson
from telos.reports import pictures
from telos.reports.inputs import Inputs
from telos.reports.maps import episode_map
from telos.reports.markup import (
    Bar,
    Missing,
    Section,
    bars,
    card,
    facts,
    grid,
    legend,
    number,
    percent,
    table,
    text,
)

_LINGER = 32  # environment steps that an animation goes on for after the goal was reached
WAYS = (("executed", "#ffcf5c"), ("imagined by the first plan", "#93a8ff"))


def results(inputs: Inputs) -> Section | Missing:
    """Success beside its floors, and what planning cost."""
    found = inputs.evaluation or inputs.guardrail
    if found is None:
        return Missing("Results", "Nothing was evaluated; `telos evaluate` measures what the agent achieves.")
    best = found.random_floor
    rest = f", where acting at random succeeds in {percent(best.success)}" if best else ""
    title = f"{found.successes} of {found.n} goals it had never seen{rest}"
    touched = wilson(found.touched, found.n)
    rows = [
        ["telos", percent(found.success), _interval(found.interval), percent(found.touched / found.n),
         _interval(touched), str(found.n)]
    ]  # fmt: skip
    rows += [
        [f"{floor.name}: {floor.policy}", percent(floor.success), _interval(floor.interval),
         percent(floor.touched / floor.n), _interval(wilson(floor.touched, floor.n)), str(floor.n)]
        for floor in found.floors
    ]  # fmt: skip
    head = ["", "at the last step", "95 % interval", "at first touch", "95 % interval", "n"]
    body = (
        f'<p class="lead">Each task is a layout that training never saw, an episode of '
        f"{number(found.config.get('episode_steps'))} steps without early stopping, and one "
        f"{'picture of the goal' if shown_pictures(found) else 'goal'}. Success is being there at the last "
        "step.</p>" + success_bars(found) + facts(costs(found)) + table(head, rows, own=1)
    )
    return Section("results", "Results", title, body)


def shown_pictures(found: Evaluation) -> bool:
    """Whether the agent's goals were pictures: by default, and of `telos evaluate` without --goal."""
    aim = found.config.get("aim", "aim_at_picture")
    if isinstance(aim, Mapping):
        return aim.get("type") == "Aim" and not aim.get("objective", {}).get("goal")
    return aim == "aim_at_picture"


def success_bars(found: Evaluation) -> str:
    """The agent's success above its floors, with whiskers of the 95 % intervals."""
    entries = [Bar("telos", found.success, found.interval, kind="agent")]
    for floor in found.floors:
        name = {"no-op": "doing nothing", "random": "random actions", "exploration": "random walk"}
        entries.append(Bar(name.get(floor.name, floor.name), floor.success, floor.interval))
    return bars(entries)


def costs(found: Evaluation) -> list[tuple[str, str]]:
    """What planning cost, as large numbers."""
    at_once = found.planning.batch
    together = f"{at_once} episodes at a time" if at_once > 1 else "one episode at a time"
    entries = [
        (f"CPU time per plan, {together}", number(found.cpu_seconds_per_plan, "s")),
        ("imagined steps per plan", number(found.evaluations_per_plan)),
        ("plans per episode", number(found.plans_per_episode)),
        ("steps to the goal, median", number(found.steps_to_goal)),
    ]
    labels = found.config.get("labels") or {}
    if labels:
        entries.append(("labelled frames, for readouts only", number(max(labels.values()))))
    return entries


def episodes(inputs: Inputs) -> Section | Missing:
    """Animations of what was executed beside what was imagined, successes first, then failures."""
    found = inputs.evaluation or inputs.guardrail
    shown = [] if found is None else _chosen(found.recordings, 4, 2)
    if not shown:
        return Missing(
            "Episodes", "No episode was recorded; `telos evaluate --record 4` keeps some to look at."
        )
    pictured = any(record.goal_frame is not None for record in shown)
    decoded = any(plan.frames is not None for record in shown for plan in record.plans)
    lead = (
        f"Right of each {'goal' if pictured else 'start'}: what happened, and what the agent imagined before "
        "it happened, decoded from its states by a decoder that took no part in learning them. The line "
        "below runs along each imagined future."
        if decoded
        else "What happened in each episode. There are no imagined pictures, since this model has no decoder."
    )
    body = f'<p class="lead">{lead}</p>'
    successes = [record for record in shown if record.success]
    if decoded and successes:
        body += film_strip(successes[0])
    cards = [card(film(record) + _caption(record)) for record in shown]
    body += grid(cards, "wide")
    return Section("episodes", "Episodes", "What it did, beside what it had imagined", body)


def film(recording: Recording) -> str:
    """The goal (or the start), and the animation of executed and imagined frames."""
    block = max((plan.block for plan in recording.plans), default=4)
    last = len(recording.frames) - 1
    if recording.success and recording.first_touch is not None:
        last = min(last, recording.first_touch + _LINGER)
    moments = [*range(0, last + 1, block)]
    dreams = imagined_frames(recording.plans, len(recording.frames))
    panels = []
    for moment in moments:
        if dreams:
            frame, part = dreams[min(moment, max(dreams))] if moment in dreams else _latest(dreams, moment)
            panels.append(pictures.beside([recording.frames[moment], frame], progress=part))
        else:
            panels.append(pictures.beside([recording.frames[moment]]))
    moving, still = pictures.animation(panels), pictures.png(panels[len(panels) // 3])
    names = "<span>executed</span><span>imagined</span>" if dreams else "<span>executed</span>"
    return (
        f'<div class="film">{_goal(recording)}'
        f"<figure>{pictures.image(moving, 'executed and imagined frames', still=still)}"
        f"<figcaption>{names}</figcaption></figure></div>"
    )


def _goal(recording: Recording) -> str:
    """The goal as a figure; in its place the first frame, where it is no picture."""
    if recording.goal_frame is None:
        frame, name = recording.frames[0], "start"
    else:
        frame, name = recording.goal_frame, "goal"
    shown = pictures.image(pictures.png(pictures.beside([frame])), f"the {name}")
    return f"<figure>{shown}<figcaption><span>{name}</span></figcaption></figure>"


def imagined_frames(plans: Sequence[ImaginedPlan], length: int) -> dict[int, tuple[np.ndarray, float]]:
    """The decoded frame of each environment step, and how far along its plan it is (0 to 1)."""
    found = {}
    for plan in plans:
        if plan.frames is not None:
            for position, frame in enumerate(plan.frames):
                step = plan.step + position * plan.block
                if step < length and (position or step not in found):
                    found[step] = (frame, position / max(len(plan.frames) - 1, 1))
    return found


def film_strip(recording: Recording, *, columns: int = 8) -> str:
    """Executed frames above what the first plan imagined for the same moments; empty without a decoder."""
    first = next((plan for plan in recording.plans if plan.frames is not None), None)
    if first is None or first.frames is None:
        return ""
    positions = np.unique(np.linspace(0, len(first.frames) - 1, columns).round().astype(int))
    steps = first.step + positions * first.block
    kept = steps < len(recording.frames)
    above = pictures.png(pictures.strip([*recording.frames[steps[kept]]]))
    below = pictures.png(pictures.strip([*first.frames[positions[kept]]]))
    span = f"steps {steps[kept][0]} to {steps[kept][-1]}"
    return (
        f'<div class="strip"><div><div class="caption">executed, {span}</div>'
        f"{pictures.image(above, 'executed')}"
        '<div class="caption">imagined at the first step, from the first frame alone</div>'
        f"{pictures.image(below, 'imagined')}</div></div>"
    )


def guardrail(inputs: Inputs) -> Section | Missing:
    """Success and true violations with the guardrail held, and without it."""
    found = inputs.guardrail
    if found is None:
        return Missing(
            "Guardrail",
            "No guardrail was evaluated; `telos evaluate --guardrail across` (or --keep-out) does it.",
        )
    value = found.to_json()
    with_it, broke = value["violations"], value["violations_interval"]
    succeeded = [Bar("held", found.success, found.interval, kind="agent")]
    violated = [Bar("held", with_it, (broke[0], broke[1]), kind="bad")]
    title = f"True violations in {percent(with_it)} of the episodes"
    if found.rows_without:
        low, high = value["interval_without"]
        succeeded.append(Bar("not held", value["success_without"], (low, high)))
        low, high = value["violations_without_interval"]
        violated.append(Bar("not held", value["violations_without"], (low, high), kind="bad"))
        title += f", {percent(value['violations_without'])} without the guardrail"
    unit = next(iter(found.units.values()), "")
    numbers = [
        ("deepest true violation", number(max(value["deepest_violation"] or 0.0, 0.0), unit)),
        ("episodes with an executed plan that predicted one", percent(value["predicted_violations"])),
        ("plans for which the search found nothing allowed", percent(found.infeasible)),
        ("plans replaced by the safe action", number(sum(row.safe for row in found.rows))),
    ]  # fmt: skip
    lead = (
        "A zone lies across the straight way of each task. The world model was trained without it and the "
        "goal says nothing of it; the agent is told at run time, and the same tasks are done without "
        "telling it."
        if found.guardrail == "across"
        else f"The agent was told at run time to hold: {found.guardrail}."
    )
    halves = grid(
        [
            card(bars(succeeded), "Success at the last step"),
            card(bars(violated), "Episodes that entered the zone"),
        ],
        "wide",
    )
    maps = [
        card(map_ + _caption(record))
        for record in _chosen(found.recordings, 6, 2)
        if (map_ := episode_map(record, dreams=False))
    ]
    key = [("held", "#ffcf5c"), ("not held", "#ff6f8f")] if found.rows_without else [("executed", "#ffcf5c")]
    drawn = grid(maps) + legend(key, dashed=["not held"]) if maps else ""
    return Section(
        "guardrail", "Guardrail", title, f'<p class="lead">{lead}</p>{halves}{facts(numbers)}{drawn}'
    )


def failures(inputs: Inputs) -> Section | Missing:
    """Where and why it failed."""
    found = inputs.evaluation or inputs.guardrail
    if found is None:
        return Missing("Failures", "Nothing was evaluated, so nothing failed.")
    failed = [row for row in found.rows if not row.success]
    if not failed:
        return Missing("Failures", f"None of the {found.n} tasks failed.")
    groups = Counter(_cause(row) for row in failed)
    entries = [
        Bar(cause, count / len(failed), label=str(count), kind="bad") for cause, count in groups.most_common()
    ]
    maps = [
        card(map_ + _caption(record))
        for record in found.recordings
        if not record.success and (map_ := episode_map(record))
    ]
    lead = "Told from the true readings at the end of each episode."
    drawn = grid(maps) + legend(WAYS, dashed=[WAYS[1][0]]) if maps else ""
    title = f"Where and why it failed in {len(failed)} of {found.n} tasks"
    return Section("failures", "Failures", title, f'<p class="lead">{lead}</p>{bars(entries)}{drawn}')


def _caption(recording: Recording) -> str:
    if recording.success:
        touched = recording.first_touch
        told = '<span class="tag good">Reached</span>' + (
            f" at step {touched}" if touched is not None else ""
        )
    else:
        told = f'<span class="tag bad">Failed</span>: {text(recording.reason or "not at the goal")}'
    return f'<p class="caption">{told}. Task {recording.seed}.</p>'


def _chosen(recordings: Sequence[Recording], successes: int, failed: int) -> list[Recording]:
    good = [record for record in recordings if record.success][:successes]
    return good + [record for record in recordings if not record.success][:failed]


def _cause(row: TaskRow) -> str:
    """The reason of a failure without its numbers, so that equal ones can be counted."""
    return re.split(r" \(|,? \d", row.reason)[0].strip() or "not at the goal"


def _interval(ends: tuple[float, float]) -> str:
    return f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"


def _latest(dreams: dict[int, tuple[np.ndarray, float]], moment: int) -> tuple[np.ndarray, float]:
    """What was imagined last before a moment that no plan reaches."""
    before = [step for step in dreams if step <= moment]
    return dreams[max(before)] if before else dreams[min(dreams)]
