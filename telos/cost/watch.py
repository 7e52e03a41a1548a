"""The watch: what was predicted of each step beside what was then perceived, while an agent acts."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos.cost.calibration import Calibrated, Calibration
from telos.cost.drift import DriftTest
from telos.errors import DriftWarning
from telos.types import Guardrail, Trajectory


@dataclass(frozen=True)
class Drift:
    """An alarm: a calibrated guardrail's episodes are no longer as they were when it was calibrated."""

    step: int  # environment steps since the episode's start
    guardrail: str
    episodes: int  # that have been looked at
    left: int  # of those, how many left the calibrated band
    rate: float  # the share that may
    band: float  # the calibrated bound of an episode's score
    score: float  # of the episode that raised the alarm


class Watch:
    """Compares, step by step, the signed violation that plans predicted with the one perceived afterwards.

    Both are taken along the way from one step to the next, of the guardrail's own reading of states: no truth
    is needed, and nothing is seen of errors that perception makes in both. For calibrated guardrails the
    scores of episodes are tested for drift, across resets and across the guardrails of one calibration (each
    task's own zone, say). What lasts longer than calibrated episodes did counts as several. A guardrail that
    asks for actions is shown zeros, `size` a step, in both.
    """

    def __init__(self, *, size: int = 1) -> None:
        self._size = size
        self.drifts: list[Drift] = []
        self._logs: dict[int, _Log] = {}
        self._tests: dict[tuple[int, int], tuple[Calibration, DriftTest]] = {}
        self._before: Tensor | None = None  # [B, D]
        self._step = 0

    def begin(self) -> None:
        """Episodes begin; those that were going on count, if anything was predicted in them."""
        self.pause()
        self._logs, self._step = {}, 0

    def pause(self) -> None:
        """No guardrail is held: what was expected does not speak of what comes."""
        self._before = None
        for log in self._logs.values():
            self._stop(log)

    def see(self, guardrails: Sequence[Guardrail], states: Tensor) -> list[int]:
        """Take in what moves `[B, D]` at the next step; the problems whose plans have become dangerous.

        They are those in which violation came nearer than was predicted, and would be positive within the
        steps to come if the error went on growing as it grew since the plan was made.
        """
        before, self._before = self._before, states
        if before is None or before.shape != states.shape:
            return []
        self._step += 1
        way = torch.stack([before, states], 1)[:, None, None]
        still = states.new_zeros(len(states), 1, 1, self._size)
        thin = torch.zeros(len(states), dtype=torch.bool, device=states.device)
        held = {id(guardrail) for guardrail in guardrails}
        for log in self._logs.values():
            if id(log.guardrail) not in held:
                self._stop(log)
        for log in self._each(guardrails, len(states)):
            observed = log.guardrail(Trajectory(way, still))[:, 0, 0, 1]
            thin |= log.take(observed)
            self._judge(log)
        return thin.nonzero()[:, 0].tolist()

    def expect(
        self,
        guardrails: Sequence[Guardrail],
        problems: Sequence[int],
        steps: Tensor,
        safe: Tensor,
        batch: int,
    ) -> None:
        """Plans have been made for some problems P: states `[P, K, n + 1, D]` at each of n environment steps.

        Where `safe` `[P]` the safe action is done instead, of which nothing was predicted.
        """
        index = torch.as_tensor(problems, device=steps.device)
        still = steps.new_zeros(len(problems), 1, steps.shape[2] - 1, self._size)
        way = Trajectory(steps[:, None], still)
        for log in self._each(guardrails, batch):
            chosen = log.guardrail if len(problems) == batch else log.guardrail.select(index)
            predicted = chosen(way)[:, 0, :, 1:].amax(1)
            log.expect(index, predicted.masked_fill(safe[:, None], torch.inf))

    def told(self, guardrail: Guardrail) -> tuple[Tensor, Tensor]:
        """The episodes so far, predicted and observed, each `[T, B]`: of one of the agent's guardrails."""
        log = self._logs.get(id(guardrail))
        if log is None or not log.observed:
            raise ValueError(
                f"guardrail must be one that the agent holds since a step or more; got {guardrail}. Take it "
                "from agent.guardrails, after an action was executed."
            )
        return torch.stack(log.predicted), torch.stack(log.observed)

    def _each(self, guardrails: Sequence[Guardrail], batch: int) -> Iterator[_Log]:
        """The logs of guardrails, each once, however often it is held."""
        alike: dict[int, int] = {}  # of each calibration, how many guardrails so far
        for guardrail in {id(each): each for each in guardrails}.values():
            key = None
            if isinstance(guardrail, Calibrated) and guardrail.calibration.band is not None:
                calibration = guardrail.calibration
                key = (id(calibration), alike.setdefault(id(calibration), 0))
                alike[id(calibration)] += 1
                self._tests.setdefault(key, (calibration, DriftTest(calibration.alpha)))
            log = self._logs.setdefault(id(guardrail), _Log(guardrail, batch, key))
            if log.batch == batch:
                yield log

    def _judge(self, log: _Log) -> None:
        """Count the episodes that are beyond the calibrated band, or over."""
        if log.test is None:
            return
        assert isinstance(log.guardrail, Calibrated)
        calibration = log.guardrail.calibration
        assert calibration.band is not None
        promised = log.predicted[-1].clamp(max=-log.guardrail.buffer)
        if calibration.counts == "violations":
            promised = torch.full_like(promised, -log.guardrail.buffer)
        for problem, score in enumerate((log.observed[-1] - promised).tolist()):
            if not log.lasted[problem]:
                log.number[problem] = self._tests[log.test][1].begin()
            log.score[problem] = max(log.score[problem], score)
            log.lasted[problem] += 1
            if score > calibration.band and not log.counted[problem]:
                log.counted[problem] = True
                self._count(log, problem, True)
            if log.lasted[problem] >= calibration.steps:
                self._end(log, problem)

    def _stop(self, log: _Log) -> None:
        for problem in range(log.batch):
            self._end(log, problem)
        log.forget()

    def _end(self, log: _Log, problem: int) -> None:
        if log.lasted[problem] and not log.counted[problem]:
            self._count(log, problem, False)
        log.lasted[problem], log.counted[problem], log.score[problem] = 0, False, -torch.inf

    def _count(self, log: _Log, problem: int, left: bool) -> None:
        guardrail = log.guardrail
        assert log.test is not None
        assert isinstance(guardrail, Calibrated)
        assert guardrail.calibration.band is not None
        test = self._tests[log.test][1]
        before = test.drifted
        test.end(log.number[problem], left)
        if before or not test.drifted:
            return
        drift = Drift(
            step=self._step,
            guardrail=str(guardrail),
            episodes=test.episodes,
            left=test.left,
            rate=test.rate,
            band=guardrail.calibration.band,
            score=log.score[problem],
        )
        self.drifts.append(drift)
        warnings.warn(
            f"{drift.left} of {drift.episodes} episodes were off by more than the {drift.band:.3g} that a "
            f"share of {drift.rate:g} may be; '{drift.guardrail}' is no longer what it was calibrated to be. "
            "Stop, or calibrate again on new episodes.",
            DriftWarning,
            stacklevel=2,
        )


class _Log:
    """One guardrail's episodes so far, and which test they are bet on in, if they are."""

    def __init__(self, guardrail: Guardrail, batch: int, test: tuple[int, int] | None) -> None:
        self.guardrail, self.batch, self.test = guardrail, batch, test
        self.predicted: list[Tensor] = []  # [B] per step
        self.observed: list[Tensor] = []  # [B] per step
        self.score = [-torch.inf] * batch
        self.lasted = [0] * batch
        self.counted = [False] * batch
        self.number = [0] * batch  # in the test, of the episodes that go on
        self.forget()

    def forget(self) -> None:
        """Expect nothing."""
        # [B, n], what the plans in force predict; infinite where nothing
        self._coming = torch.empty(self.batch, 0)
        self._done = torch.zeros(self.batch, dtype=torch.long)  # [B], how many of those steps are over

    def expect(self, problems: Tensor, predicted: Tensor) -> None:
        """Plans were made for some problems: `[P]`, `[P, n]`."""
        coming = self._coming.to(predicted)
        longer = max(coming.shape[1], predicted.shape[1])
        coming, predicted = (
            nn.functional.pad(each, (0, longer - each.shape[1]), value=torch.inf)
            for each in (coming, predicted)
        )
        self._coming = coming.index_copy(0, problems, predicted)
        self._done = self._done.to(problems).index_fill(0, problems, 0)

    def take(self, observed: Tensor) -> Tensor:
        """What was observed `[B]` of one more step; whether the plan has become dangerous, bool `[B]`."""
        coming = nn.functional.pad(self._coming.to(observed), (0, 1), value=torch.inf)
        done = self._done.to(coming.device).clamp_max(coming.shape[1] - 1)
        predicted = coming.gather(1, done[:, None])[:, 0]
        self.predicted.append(predicted)
        self.observed.append(observed)
        self._done = done + 1
        grown = (observed - predicted)[:, None] / self._done[:, None]  # per step
        step = torch.arange(1, coming.shape[1] + 1, device=coming.device)
        nearer = (grown > 0) & (step > self._done[:, None]) & coming.isfinite()
        return (nearer & (coming + grown * step > 0)).any(1)
