"""The witness: what truly came of each step, beside what the agent predicted and perceived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from telos.cost import ReadingGuardrail, Trial
from telos.evaluation.episodes import Decision, Guardrails
from telos.evaluation.policies import AgentPolicy
from telos.evaluation.recording import ImaginedPlan
from telos.types import World

ALONG = 8
"""Points at which the way between two consecutive steps is looked at."""


@dataclass(eq=False)
class Witness:
    """An agent's policy for one batch of episodes with one guardrail, and a log of the world's readings."""

    policy: AgentPolicy

    def begin(self, world: World, guardrails: Guardrails) -> None:
        """The episodes begin."""
        (self._guardrail,) = guardrails
        self._world, self._places = world, list[np.ndarray]()
        self.policy.begin(world, guardrails)

    def act(self, frames: np.ndarray) -> np.ndarray:
        """The agent's actions."""
        self._places.append(self._world.read()[self._guardrail.name])
        return self.policy.act(frames)

    def decisions(self, copy: int) -> Sequence[Decision]:
        """The plans of one copy's episode."""
        return self.policy.decisions(copy)

    def imagined(self, copy: int) -> tuple[ImaginedPlan, ...]:
        """What was imagined."""
        return self.policy.imagined(copy)

    def trials(self) -> list[Trial]:
        """The episodes that have just ended, before the world begins others.

        The last step was seen by no `act`: it counts by its truth alone.
        """
        places = [*self._places, self._world.read()[self._guardrail.name]]
        readings = torch.from_numpy(np.stack(places, 1)).double()
        true = true_violations(self._guardrail, readings)
        predicted = observed = true.new_full(true.shape, torch.inf)
        if self.policy.penalty is None:
            predicted, observed = (
                _with_last(told.T.double(), true) for told in self.policy.told(self._guardrail)
            )
        seen = observed if self.policy.penalty is None else torch.full_like(true, -torch.inf)
        seen = seen.masked_fill(seen.isinf(), -torch.inf)
        return [Trial(*rows) for rows in zip(predicted, true, seen, strict=True)]


def true_violations(guardrail: ReadingGuardrail, readings: Tensor) -> Tensor:
    """Signed violation `[B, T]` of the way to each step, of readings `[B, T+1, k]`: its worst point."""
    weight = torch.arange(1, ALONG + 1, dtype=readings.dtype)[:, None] / ALONG
    points = torch.lerp(readings[:, :-1, None], readings[:, 1:, None], weight)
    return guardrail.violation_of(points).amax(-1)


def _with_last(told: Tensor, true: Tensor) -> Tensor:
    return torch.cat([told, told.new_full((len(told), true.shape[1] - told.shape[1]), torch.inf)], 1)
