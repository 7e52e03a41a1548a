"""What a report is made of, and where it lies in a run's folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from telos.checkpoint import FORMAT
from telos.errors import TelosError
from telos.evaluation import Analysis, Evaluation

_DEPTH = 1


@dataclass(frozen=True)
class Inputs:
    """Everything there is to show; what is missing leaves its part out."""

    evaluation: Evaluation | None = None
    guardrail: Evaluation | None = None  # the evaluation in which a guardrail was held
    analysis: Analysis | None = None
    metrics: tuple[dict[str, Any], ...] = ()  # lines of metrics.jsonl
    model: dict[str, Any] = field(default_factory=dict)  # config.json of the checkpoint
    title: str = ""


def gather(folder: str | Path, *, title: str = "") -> Inputs:
    """Read what lies in `folder` or one folder below it: evaluations, analysis, metrics, model.

    Of several evaluations the last one written counts, with and without guardrail each. `TelosError` if
    there is nothing to report, or a file is damaged.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise TelosError(f"{folder} is not a folder. Give the one that `telos evaluate` wrote to.")
    evaluations = [Evaluation.load(path.parent) for path in _newest(folder, "evaluation.json")]
    analyses = [*_newest(folder, "analysis.npz")]
    metrics = [*_newest(folder, "metrics.jsonl")]
    models = [config for path in _newest(folder, "config.json") if (config := _model_config(path))]
    found = Inputs(
        evaluation=next((each for each in evaluations if not each.guardrail), None),
        guardrail=next((each for each in evaluations if each.guardrail), None),
        analysis=Analysis.load(analyses[0].parent) if analyses else None,
        metrics=tuple(read_metrics(metrics[0])) if metrics else (),
        model=models[0] if models else {},
        title=title,
    )
    if found == Inputs(title=title):
        raise TelosError(
            f"{folder} holds nothing to report: no evaluation, analysis or metrics. Evaluate first."
        )
    return found


def read_metrics(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a metrics file; one that a kill left unfinished is passed over."""
    for line in path.read_text().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and "step" in row:
            yield row


def _newest(folder: Path, name: str) -> list[Path]:
    """Files of this name in the folder and below, the last written one first."""
    found = [path for depth in range(_DEPTH + 1) for path in folder.glob("*/" * depth + name)]
    return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)


def _model_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) and config.get("format") == FORMAT else {}
