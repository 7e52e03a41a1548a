"""What candidates are worth: imagine them, score them, and put them in order.

Feasible beats infeasible: candidates are ordered by total violation, then by energy. A candidate whose
energy or violation is NaN or infinite loses to every other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from telos.types import Problem, Trajectory

LOST = torch.iinfo(torch.int64).max
"""The rank of a candidate that is not finite."""


@dataclass(frozen=True)
class Scored:
    """Candidates and what was found about them."""

    actions: Tensor  # [B, S, T, size]
    energy: Tensor  # [B, S], aggregated over futures
    violation: Tensor  # [B, S]: total over guardrails and steps 1..T, 0 where feasible; what is ranked
    worst: Tensor  # [B, S]: signed, in the readings' units; -inf without guardrails
    rank: Tensor  # int64 [B, S], lower is better; comparable within a problem

    def take(self, index: Tensor) -> Scored:
        """Some candidates of each problem: `index` is `[B, N]`."""
        rows = torch.arange(index.shape[0], device=index.device)[:, None]
        return self._map(lambda values: values[rows, index])

    def first(self, count: int) -> Scored:
        """The first `count` candidates of each problem."""
        return self._map(lambda values: values[:, :count])

    def detach(self) -> Scored:
        """The same without gradients."""
        return self._map(Tensor.detach)

    def join(self, other: Scored) -> Scored:
        """These candidates and then the other's."""
        return Scored(
            torch.cat([self.actions, other.actions], 1),
            torch.cat([self.energy, other.energy], 1),
            torch.cat([self.violation, other.violation], 1),
            torch.cat([self.worst, other.worst], 1),
            torch.cat([self.rank, other.rank], 1),
        )

    @property
    def finite(self) -> Tensor:
        """Boolean `[B, S]`."""
        return self.rank != LOST

    @property
    def feasible(self) -> Tensor:
        """Boolean `[B, S]`."""
        return self.finite & (self.violation <= 0)

    def best(self, count: int) -> Tensor:
        """The indices `[B, count]` of the best candidates, best first."""
        return self.rank.topk(min(count, self.rank.shape[1]), dim=1, largest=False).indices

    def _map(self, function: Callable[[Tensor], Tensor]) -> Scored:
        return Scored(
            function(self.actions),
            function(self.energy),
            function(self.violation),
            function(self.worst),
            function(self.rank),
        )


def imagine(problem: Problem, actions: Tensor) -> Trajectory:
    """Roll candidates `[B, S, T, size]` out with the level that acts."""
    B, S, T = actions.shape[:3]
    with _noted(f"the rollout with {S} candidates of {T} blocks for {B} problems"):
        trajectory = problem.level.rollout(problem.state, actions)
    shape = trajectory.states.shape
    if len(shape) < 4 or (*shape[:2], shape[3]) != (B, S, T + 1):
        raise ValueError(
            f"rollout must return states of shape [B, S, K, T+1, *state] = [{B}, {S}, K, {T + 1}, ...] for "
            f"actions {list(actions.shape)}; got {list(shape)}."
        )
    return trajectory


def require_resume(problem: Problem, who: str) -> None:
    """`ValueError` where the level that acts cannot imagine on from imagined states."""
    if problem.level.resume is None:
        raise ValueError(
            f"{who} needs a level that imagines on from imagined states: Level(rollout, space, resume=...)."
        )


def imagine_on(problem: Problem, begin: Tensor, actions: Tensor) -> Trajectory:
    """One block `[B, S, 1, size]` from imagined states `[B, S, K, *state]`, with the level that acts."""
    assert problem.level.resume is not None
    with _noted(f"resume with {begin.shape[1]} states of {begin.shape[0]} problems"):
        trajectory = problem.level.resume(problem.state, begin, actions)
    expected = (*begin.shape[:3], 2, *begin.shape[3:])
    if trajectory.states.shape != expected:
        raise ValueError(
            f"resume must return states [B, S, K, T+1, *state] = {list(expected)} for one block; "
            f"got {list(trajectory.states.shape)}."
        )
    return trajectory


def score(problem: Problem, trajectory: Trajectory) -> tuple[Scored, tuple[Tensor, ...]]:
    """What imagined candidates are worth, and the signed excess `[B, S, K, T]` over each guardrail.

    The excess is (violation + buffer) / scale in steps 1..T. A candidate's violation is the sum over
    guardrails of the positive excess, summed over steps, in the worst future. Differentiable in the
    actions where cost and guardrails are.

    Raises:
        ValueError: a cost, a guardrail or the aggregate returned a wrong shape or no floating point numbers.
    """
    energy = problem.aggregate(_checked(problem.cost, "cost", trajectory, ()))
    if energy.shape != trajectory.actions.shape[:2]:
        raise ValueError(
            f"aggregate must reduce [B, S, K] to [B, S] = {list(trajectory.actions.shape[:2])}; "
            f"got {list(energy.shape)}."
        )
    excesses, worst = [], torch.full_like(energy, -torch.inf)
    total = torch.zeros_like(energy)
    for guardrail in problem.guardrails:
        signed = _checked(guardrail, "guardrail", trajectory, (trajectory.horizon + 1,))[..., 1:]
        excess = (signed + guardrail.buffer) / guardrail.scale
        excesses.append(excess)
        total = total + excess.relu().sum(-1).amax(-1)
        worst = torch.maximum(worst, signed.amax((-2, -1)))
    return Scored(trajectory.actions, energy, total, worst, rank(energy, total)), tuple(excesses)


def rank(energy: Tensor, violation: Tensor) -> Tensor:
    """An int64 that orders by violation, then by energy (both `[B, S]`), both at float32 precision.

    The bits of a float32, read as an integer with those of negative numbers mirrored, are in the order of
    the numbers; two such integers packed into one are in lexicographic order, and one `topk` is enough.
    """
    finite = energy.isfinite() & violation.isfinite()
    high = _ordered_bits(torch.where(finite, violation, 0).detach())
    low = _ordered_bits(torch.where(finite, energy, 0).detach())
    return torch.where(finite, (high << 32) + low, LOST)


def unranked(rank: Tensor) -> tuple[Tensor, Tensor]:
    """Energy and violation that `rank` was made of, at float32 precision; infinite where it is `LOST`."""
    low = (rank & 0xFFFFFFFF) - ((rank & 0x80000000) << 1)
    energy, violation = _from_ordered_bits(low), _from_ordered_bits((rank - low) >> 32)
    lost = rank == LOST
    return energy.masked_fill(lost, torch.inf), violation.masked_fill(lost, torch.inf)


def distinct(scored: Scored, count: int, *, gap: float, reach: Tensor, among: int = 128) -> Tensor:
    """The indices `[B, count]` of the best candidates that differ from each other, best first.

    Two plans differ when their summed actions so far, which is where they lead in a world that is moved
    by its actions, are on average over time more than `gap` of the horizon's largest reach apart. Where
    fewer differ, the rest is filled with the best that remain.

    Args:
        reach: `[size]`, half the range of each action value.
        among: how many of the best are looked at.
    """
    index = scored.best(max(among, count))
    few = scored.take(index)
    width = index.shape[1]
    way = few.actions.cumsum(2) / (few.actions.shape[2] * reach.clamp_min(1e-12))
    order = torch.arange(width, device=index.device)
    near = (~few.finite) * count  # how many chosen ones each is near to: those come later
    picks = []
    for _ in range(min(count, width)):
        pick = (near * width + order).argmin(1, keepdim=True)
        picks.append(pick)
        chosen = way.gather(1, pick[..., None, None].expand(-1, -1, *way.shape[2:]))
        close = (way - chosen).square().mean((2, 3)) <= gap**2
        near = near + close + (order == pick) * (count + 1)  # a chosen one is not chosen again
    return index.gather(1, torch.cat(picks, 1))


def _ordered_bits(values: Tensor) -> Tensor:
    bits = (values.to(torch.float32) + 0.0).view(torch.int32)  # + 0.0 makes one of the two zeros
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).to(torch.int64)


def _from_ordered_bits(bits: Tensor) -> Tensor:
    bits = bits.to(torch.int32)
    return (bits ^ ((bits >> 31) & 0x7FFFFFFF)).view(torch.float32)


def _checked(
    term: Callable[[Trajectory], Tensor], kind: str, trajectory: Trajectory, rest: tuple[int, ...]
) -> Tensor:
    with _noted(f"the {kind} {type(term).__name__}"):
        value = term(trajectory)
    expected = (*trajectory.states.shape[:3], *rest)
    if not isinstance(value, Tensor) or not value.is_floating_point():
        found = value.dtype if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{kind} {type(term).__name__} must return a floating point tensor; got {found}.")
    if value.shape != expected:
        letters = "[B, S, K, T+1]" if rest else "[B, S, K]"
        raise ValueError(
            f"{kind} {type(term).__name__} must return shape {letters} = {list(expected)} for states "
            f"{list(trajectory.states.shape)}; got {list(value.shape)}."
        )
    return value


@contextmanager
def _noted(what: str) -> Iterator[None]:
    """Say in a note what the planner was calling when an exception came out of it."""
    try:
        yield
    except Exception as error:
        error.add_note(f"Raised while the planner was calling {what}.")
        raise
