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
    """

    def __init__(self, rate: float, *, level: float = 0.01) -> None:
        if not 0 < rate < 1 or not 0 < level < 1:
            raise ValueError(f"rate and level must be above 0 and below 1; got {rate} and {level}.")
        self.rate, self.level = rate, level
        self.episodes = self.left = 0
        self._rates = [rate + (1 - rate) * share for share in (0.05, 0.1, 0.2, 0.4, 0.7)]
        self._wealth = [0.0] * len(self._rates)

    def update(self, left: bool) -> None:
        """One more episode, which left the band or did not."""
        self.episodes += 1
        self.left += left
        stake = 1 / (self.episodes * (self.episodes + 1)) / len(self._rates)
        for number, rate in enumerate(self._rates):
            ratio = rate / self.rate if left else (1 - rate) / (1 - self.rate)
            self._wealth[number] = (self._wealth[number] + stake) * ratio

    @property
    def wealth(self) -> float:
        """What 1 has become, the part that is not staked yet included."""
        return math.fsum(self._wealth) + 1 / (self.episodes + 1)

    @property
    def drifted(self) -> bool:
        """Whether episodes are no longer as calibrated, at `level`."""
        return self.wealth >= 1 / self.level
