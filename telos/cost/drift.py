"""Drift: whether episodes still are what a guardrail was calibrated on."""

from __future__ import annotations

import math


class DriftTest:
    """Bets, episode by episode, that scores leave their calibrated band more often than `rate`.

    While episodes are as calibrated, an episode leaves the band with probability at most `rate`, and then no
    strategy of betting ever multiplies its stake by 1 / `level` with a probability above `level` (Ville's
    inequality; Waudby-Smith and Ramdas, arXiv 2010.09686). So `drifted` cries wolf in at most a share `level`
    of deployments, however long they run. The stake is spread over several larger rates, each a likelihood
    ratio, and over the times at which a change may begin: part t of it, 1 / (t (t + 1)), is staked before
    episode t, so that a change is found that comes after a long time without one.

    Episodes may go on at the same time. Bets are in the order in which they began: in that in which they are
    decided, all that leave would come before all that stay, and Ville's inequality would not hold. One that
    still goes on counts as one that stays, which is the least that it can be worth.
    """

    def __init__(self, rate: float, *, level: float = 0.01) -> None:
        if not 0 < rate < 1 or not 0 < level < 1:
            raise ValueError(f"rate and level must be above 0 and below 1; got {rate} and {level}.")
        self.rate, self.level = rate, level
        self.drifted = False  # whether episodes are no longer as calibrated, at `level`: it stays so
        self.episodes = self.left = 0  # that have begun; of those, how many are known to have left the band
        self._rates = [rate + (1 - rate) * share for share in (0.05, 0.1, 0.2, 0.4, 0.7)]
        self._wealth = [0.0] * len(self._rates)  # of the episodes before the first that is not over
        self._open: list[bool | None] = []  # whether those from it on have left; None: going on

    def update(self, left: bool) -> None:
        """One more episode, which left the band or did not."""
        self.end(self.begin(), left)

    def begin(self) -> int:
        """One more episode begins; the number to call it by."""
        self._open.append(None)
        self.episodes += 1
        return self.episodes - 1

    def end(self, number: int, left: bool) -> None:
        """That episode has left the band, or is over and has not."""
        first = self.episodes - len(self._open)
        self._open[number - first] = left
        self.left += left
        while self._open and self._open[0] is not None:
            first += 1
            self._bet(self._wealth, first, self._open.pop(0))
        self.drifted = self.drifted or self.wealth >= 1 / self.level

    @property
    def wealth(self) -> float:
        """What 1 has become, if those that go on stay in the band; what is not staked yet is included."""
        wealth, number = list(self._wealth), self.episodes - len(self._open)
        for left in self._open:
            number += 1
            self._bet(wealth, number, left)
        return math.fsum(wealth) + 1 / (self.episodes + 1)

    def _bet(self, wealth: list[float], number: int, left: bool | None) -> None:
        """What the outcome of the episode of this number, from 1 on, makes of wealth."""
        stake = 1 / (number * (number + 1)) / len(self._rates)
        for index, rate in enumerate(self._rates):
            ratio = rate / self.rate if left else (1 - rate) / (1 - self.rate)
            wealth[index] = (wealth[index] + stake) * ratio
