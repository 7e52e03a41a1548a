"""Calibration: how large a guardrail's buffer must be, from episodes that were run with it.

A guardrail holds what is predicted, and plans are chosen for what is predicted, so that they seek out the
model's errors: errors along random actions say too little, and errors along plans depend on the buffer the
plans were made with. Scores are therefore one per closed-loop episode, and speak of the buffer held in it.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from telos.configuration import from_dict, to_dict
from telos.cost.conformal import conformal_rank, episodes_needed
from telos.errors import CalibrationWarning
from telos.types import Guardrail, Trajectory

_MARKED = 1e-9
"""The violation of a step that was marked: so small that it asks for no more than is known."""

Counts = Literal["errors", "violations"]
"""What a score is made of; see `score_of`."""


class Measured(Guardrail, Protocol):
    """A guardrail that can be asked about readings: predicted ones, and true ones."""

    def violation_of(self, readings: Tensor | np.ndarray) -> Tensor:
        """Signed violation of readings `[..., k]`: `[...]`."""
        ...

    def with_buffer(self, buffer: float) -> Measured:
        """The same with a larger buffer."""
        ...

    def select(self, index: Tensor) -> Measured:
        """The guardrail of some problems."""
        ...


@dataclass(frozen=True, eq=False)
class Trial:
    """One closed-loop episode: signed violations of its T executed steps, in the guardrail's units.

    Attributes:
        predicted: `[T]`, what the plan in force predicted of each step; infinite where there was none.
        true: `[T]`, what came of it in the world, judged by something better than the model.
        observed: `[T]`, what the agent's own perception said came of it; drift is told by it.
    """

    predicted: Tensor
    true: Tensor
    observed: Tensor | None = None

    def __post_init__(self) -> None:
        for name in ("true", "observed"):
            values = getattr(self, name)
            if values is not None and (values.shape != self.predicted.shape or values.isnan().any()):
                raise ValueError(
                    f"{name} must have the shape of predicted, {list(self.predicted.shape)}, and no NaN; "
                    f"got {list(values.shape)}."
                )
        if self.predicted.ndim != 1 or not len(self.predicted) or self.predicted.isnan().any():
            raise ValueError(
                f"predicted must be [T] with T at least 1, and no NaN; got {list(self.predicted.shape)}."
            )

    @staticmethod
    def of_readings(
        guardrail: Measured,
        predicted: Tensor | np.ndarray,
        true: Tensor | np.ndarray,
        observed: Tensor | np.ndarray | None = None,
    ) -> Trial:
        """An episode told as readings `[T, k]` at the same moments; of one problem's guardrail."""
        seen = None if observed is None else guardrail.violation_of(observed)
        return Trial(guardrail.violation_of(predicted), guardrail.violation_of(true), seen)

    @staticmethod
    def of_marks(predicted: Tensor, marks: Tensor | np.ndarray, observed: Tensor | None = None) -> Trial:
        """An episode whose truth is a mark per step, boolean `[T]`: dangerous, or not.

        How deep is not known: a marked step violates by hardly more than 0, any other one not at all.
        """
        marked = torch.as_tensor(marks, dtype=torch.bool)
        true = torch.where(marked, _MARKED, -math.inf).double()
        return Trial(predicted.double(), true, None if observed is None else observed.double())


def score_of(trial: Trial, *, buffer: float, counts: Counts = "errors", observed: bool = False) -> float:
    """How far the worst step of an episode was beyond what was promised.

    With "errors" a step's promise is what was predicted of it, or `-buffer` where that is less (the
    guardrail promises it even where no plan held it: while leaving, or doing the safe action). The score
    is the maximum of true minus promised. With "violations" the promise is `-buffer` alone: an error
    counts only as far as it used up the room a plan had left. In both an episode with a true violation
    scores more than `buffer`, so that bounding the score bounds violations.
    """
    came = trial.observed if observed else trial.true
    assert came is not None
    promised = trial.predicted.clamp(max=-buffer) if counts == "errors" else -buffer
    beyond = torch.where(came == -math.inf, -math.inf, came - promised)  # as promised, if that was -inf too
    return float(beyond.max())


@dataclass(frozen=True)
class Calibration:
    """What a buffer rests on. `to_json` and `from_json` store it."""

    alpha: float  # the share of episodes that may violate
    confidence: float | None  # of this calibration; None: alpha holds on average over calibrations
    counts: Counts
    n: int  # episodes
    steps: int  # of the longest episode
    held: float  # the buffer that was held in the episodes
    quantile: float  # the score that bounds the next one; -inf where no scored step came near
    scores: dict[str, float | None]  # min, median, max and exceeding; None for infinite ones
    band: float | None = None  # the same quantile of what was observed; None where nothing was
    on: dict[str, Any] = field(default_factory=dict)  # world, configurator, model, guardrail, ...

    @property
    def buffer(self) -> float:
        """The buffer to hold: the one that was held, or a larger one."""
        return max(self.held, self.quantile)

    @property
    def holds(self) -> bool:
        """Whether the episodes speak of the buffer to hold: no larger one than was held is asked for."""
        return self.quantile <= self.held

    def to_json(self) -> dict[str, Any]:
        """As JSON."""
        return {**to_dict(self), "quantile": _finite(self.quantile), "band": _finite(self.band)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Calibration:
        """Read what `to_json` gave."""
        quantile = -math.inf if value["quantile"] is None else value["quantile"]
        return from_dict(Calibration, {**value, "quantile": quantile})


@dataclass(frozen=True, eq=False)
class Calibrated:
    """A guardrail that holds the buffer its calibration asks for.

    It may be another one than was calibrated, of the same kind of episodes: each task's own zone, say.
    """

    guardrail: Measured
    calibration: Calibration

    @property
    def scale(self) -> float:
        """That of the guardrail."""
        return self.guardrail.scale

    @property
    def buffer(self) -> float:
        """The larger of the guardrail's and the calibration's."""
        return max(self.guardrail.buffer, self.calibration.buffer)

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Signed violation `[B, S, K, T+1]`."""
        return self.guardrail(trajectory)

    def violation_of(self, readings: Tensor | np.ndarray) -> Tensor:
        """Signed violation of readings `[..., k]`: `[...]`."""
        return self.guardrail.violation_of(readings)

    def select(self, index: Tensor) -> Calibrated:
        """The guardrail of some problems."""
        return replace(self, guardrail=self.guardrail.select(index))

    def with_buffer(self, buffer: float) -> Calibrated:
        """The same with a larger buffer; it cannot be made smaller."""
        if not buffer >= self.buffer:
            raise ValueError(
                f"buffer can only grow from {self.buffer}; got {buffer}. Declare a new guardrail instead."
            )
        return replace(self, guardrail=self.guardrail.with_buffer(buffer))

    def __str__(self) -> str:
        return f"{self.guardrail}, calibrated: {self.buffer:g} away, alpha {self.calibration.alpha:g}"


def calibrate(
    guardrail: Measured,
    episodes: Sequence[Trial],
    *,
    alpha: float,
    confidence: float | None = None,
    counts: Counts = "errors",
    on: Mapping[str, Any] | None = None,
) -> Calibrated:
    """The guardrail with the buffer that episodes run with it ask for, by split conformal prediction.

    The episodes were run with `guardrail.buffer` held, all of it and from tasks drawn as later ones
    will be. A later episode, run with the same buffer held, scores above `quantile` with probability at most
    `alpha`: on average over calibrations, or with `confidence` in this one. Where the calibration `holds`,
    that is no more than what was held, and with `confidence` at most `alpha` of the episodes violate. Where
    it does not, a `CalibrationWarning` says so: the buffer is the best guess, plans will move with it, and
    only new episodes at the new buffer can tell. `settle` does that.

    Raises:
        ValueError: there are too few episodes (the message says how many it takes), or alpha, confidence or
            counts are not what they should be.
    """
    calibration = _calibration(guardrail.buffer, episodes, alpha, confidence, counts, on)
    if not calibration.holds:
        warnings.warn(
            f"the buffer must grow from {calibration.held:g} to {calibration.buffer:g}, and plans will move "
            "with it: run new episodes with this guardrail and calibrate again (telos.settle does).",
            CalibrationWarning,
            stacklevel=2,
        )
    return Calibrated(guardrail, calibration)


Collect = Callable[[float, int], Sequence[Trial]]
"""Run new episodes at a buffer, in a round 0, 1, ..., each with tasks of its own."""


def settle(
    guardrail: Measured,
    collect: Collect,
    *,
    alpha: float,
    confidence: float = 0.95,
    rounds: int = 4,
    counts: Counts = "violations",
    stride: float = 0.25,
    on: Mapping[str, Any] | None = None,
) -> Calibrated:
    """Calibrate in rounds of new episodes until the buffer that is held is enough.

    In a round the buffer is given, and its episodes are new: whether it is enough is a test of one
    hypothesis, "more than alpha of the episodes violate", that does not know how the buffer was chosen
    ("learn then test", Angelopoulos et al., arXiv 2110.01052). The buffer that is returned is the first that
    passes. Each of at most `rounds` tests may err with probability (1 - confidence) / rounds, so that with
    probability `confidence` none does. After one that fails the buffer grows to what its scores ask for,
    and by `stride` (in the guardrail's units) beyond, so that the next one is not a toss of a coin.

    Where none is enough in `rounds` rounds, a `CalibrationWarning` says so, and the calibration does not
    hold.
    """
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1; got {rounds}.")
    each = 1 - (1 - confidence) / rounds
    episodes_needed(
        alpha, each
    )  # so that an impossible alpha or confidence is told of before episodes are run
    found: Calibration | None = None
    for number in range(rounds):
        held = guardrail.buffer if found is None else found.buffer + stride
        found = _calibration(held, collect(held, number), alpha, each, counts, on)
        if found.holds:
            found = replace(found, confidence=confidence, on={**found.on, "rounds": number + 1})
            return Calibrated(guardrail, found)
    assert found is not None
    warnings.warn(
        f"no buffer was enough in {rounds} rounds; the last one, {found.held:g}, would have to be "
        f"{found.buffer:g}. Start from a larger buffer, or look at what the errors are.",
        CalibrationWarning,
        stacklevel=2,
    )
    return Calibrated(guardrail, found)


def _calibration(
    held: float,
    episodes: Sequence[Trial],
    alpha: float,
    confidence: float | None,
    counts: Counts,
    on: Mapping[str, Any] | None,
) -> Calibration:
    """What episodes run at the buffer `held` say."""
    if counts not in get_args(Counts):
        raise ValueError(f"counts must be one of {', '.join(get_args(Counts))}; got {counts!r}.")
    n, rank = len(episodes), conformal_rank(max(len(episodes), 1), alpha, confidence)
    if not n or rank is None:
        sure = "" if confidence is None else f" and confidence {confidence:g}"
        raise ValueError(
            f"episodes must be at least {episodes_needed(alpha, confidence)} for alpha {alpha:g}{sure}; got "
            f"{n}. Run more, or ask for a larger alpha."
        )
    scores = sorted(score_of(episode, buffer=held, counts=counts) for episode in episodes)
    band = None
    if all(episode.observed is not None for episode in episodes):
        seen = sorted(score_of(episode, buffer=held, counts=counts, observed=True) for episode in episodes)
        sure = conformal_rank(n, alpha, confidence or 0.95)
        band = None if sure is None or math.isinf(seen[sure - 1]) else seen[sure - 1]
    if math.isinf(scores[rank - 1]) and scores[rank - 1] > 0:
        raise ValueError(
            "scores must be finite, or no buffer covers them; the one that bounds the next is infinite. "
            "Look at the episodes' true violations."
        )
    return Calibration(
        alpha=alpha,
        confidence=confidence,
        counts=counts,
        n=n,
        steps=max(len(episode.true) for episode in episodes),
        held=held,
        quantile=scores[rank - 1],
        scores={
            "min": _finite(scores[0]),
            "median": _finite(scores[(n - 1) // 2]),
            "max": _finite(scores[-1]),
            "exceeding": float(sum(score > held for score in scores)),
        },
        band=band,
        on=dict(on or {}),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
