"""Costs: differentiable energies of imagined futures, `[B, S, K]`, that add and scale."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from telos.types import Cost, Trajectory

Reduction = Literal["arrive", "sum", "last", "min"]

AFTER = 0.1
"""What the mean over steps and the last step weigh beside the nearest one, in the reduction "arrive"."""


def energy(predicted: Tensor, observed: Tensor) -> Tensor:
    """How far a predicted state is from an observed one: `[..., D]`, `[..., D]` to `[...]`.

    The mean over D of the squared difference. `Goal` plans with it, and as surprise it tells how
    unexpected an observation is.
    """
    predicted, observed = torch.broadcast_tensors(predicted, observed)
    return nn.functional.mse_loss(predicted, observed, reduction="none").mean(dim=-1)


class Term(ABC):
    """A cost that can be written as a formula: `goal + 0.1 * effort`."""

    @abstractmethod
    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`, differentiable in the states and the actions."""

    @abstractmethod
    def select(self, index: Tensor) -> Cost:
        """The cost of some problems: `index` is an integer or boolean tensor over B."""

    def __add__(self, other: Cost) -> Sum:
        return Sum((self, other))

    def __mul__(self, weight: float) -> Scaled:
        return Scaled(self, weight)

    def __rmul__(self, weight: float) -> Scaled:
        return Scaled(self, weight)


@dataclass(frozen=True, eq=False)
class Sum(Term):
    """The sum of several costs, which need not be `Term`s."""

    costs: tuple[Cost, ...]

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        return torch.stack([checked_energy(cost, trajectory) for cost in self.costs]).sum(dim=0)

    def select(self, index: Tensor) -> Sum:
        """The sum of the costs of some problems."""
        return Sum(tuple(cost.select(index) for cost in self.costs))


@dataclass(frozen=True, eq=False)
class Scaled(Term):
    """A cost times a number."""

    cost: Cost
    weight: float

    def __post_init__(self) -> None:
        if not isinstance(self.weight, int | float) or not math.isfinite(self.weight):
            raise ValueError(f"weight must be a finite number; got {self.weight!r}.")

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        return self.weight * checked_energy(self.cost, trajectory)

    def select(self, index: Tensor) -> Scaled:
        """The scaled cost of some problems."""
        return Scaled(self.cost.select(index), self.weight)


@dataclass(frozen=True, eq=False)
class Goal(Term):
    """The distance of the imagined states at steps 1..T to a goal state.

    `state` is `[B, *state]`, or `[1, *state]` for one goal that all problems share. `reduction` is over
    the steps: "arrive" is the nearest step, with a tenth of the mean so that sooner is better and a
    tenth of the last so that it stays (the sum alone prefers pressing against a wall beside the goal to
    a long way round); "sum" lets every step
    count (a weighted mean, so that the scale does not depend on the horizon), "last" only the final one,
    "min" only the nearest. With "sum", `late_weight` is what the
    last step weighs relative to the first one, geometrically in between.
    """

    state: Tensor
    reduction: Reduction = "arrive"
    late_weight: float = 1.0

    def __post_init__(self) -> None:
        _check_reduction(self.reduction, self.late_weight)
        if self.state.ndim < 2 or not self.state.is_floating_point():
            raise ValueError(
                "state must be floating point of shape [B, *state], as an encoder gives it; got "
                f"{self.state.dtype} {list(self.state.shape)}."
            )

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        imagined = trajectory.states[:, :, :, 1:]
        if self.state.shape[1:] != imagined.shape[4:] or self.state.shape[0] not in (1, imagined.shape[0]):
            raise ValueError(
                f"the goal state must have shape {[imagined.shape[0], *imagined.shape[4:]]} (or 1 in front); "
                f"got {list(self.state.shape)}. Encode the goal with the model that imagines, and give what "
                "moves of it: model.moving(state)."
            )
        goal = self.state.to(imagined).flatten(1)[:, None, None, None]
        return reduce_steps(energy(imagined.flatten(4), goal), self.reduction, self.late_weight)

    def select(self, index: Tensor) -> Goal:
        """The goal of some problems; a shared one is the same for all."""
        return self if self.state.shape[0] == 1 else Goal(self.state[index], self.reduction, self.late_weight)


@dataclass(frozen=True, eq=False)
class ReadingGoal(Term):
    """The squared distance of a named reading at steps 1..T to a value, in units of `scale`.

    `readout` maps states `[..., *state]` to readings `[..., k]`. `value` is `[k]` or `[1, k]` for all
    problems, or `[B, k]`, in the reading's units; NaN marks a value that may be anything. The energy is 1
    where the root mean square of the differences is `scale`. The reductions are those of `Goal`.
    """

    readout: Callable[[Tensor], Tensor]
    value: Tensor
    scale: float = 1.0
    reduction: Reduction = "arrive"
    late_weight: float = 1.0

    def __post_init__(self) -> None:
        _check_reduction(self.reduction, self.late_weight)
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"scale must be positive and finite; got {self.scale}.")
        if self.value.ndim not in (1, 2) or not self.value.is_floating_point():
            raise ValueError(
                "value must be floating point of shape [k] or [B, k]; got "
                f"{self.value.dtype} {list(self.value.shape)}."
            )
        if self.value.isnan().all(dim=-1).any() or self.value.isinf().any():
            raise ValueError(f"value must be finite, with at most some NaN; got {self.value.tolist()}.")

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        readings = self.readout(trajectory.states[:, :, :, 1:])
        value = self.value.to(readings)
        value = value if value.ndim == 1 else value[:, None, None, None]
        if readings.ndim != 5 or readings.shape[-1] != value.shape[-1]:
            raise ValueError(
                f"value must have as many numbers as the reading; got {value.shape[-1]} for readings "
                f"{list(readings.shape)}."
            )
        if value.ndim > 1 and value.shape[0] not in (1, readings.shape[0]):
            raise ValueError(
                f"value must have a row for each of the {readings.shape[0]} problems, or one for all; got "
                f"{value.shape[0]}."
            )
        wanted = ~value.isnan()
        difference = torch.where(wanted, readings - value.nan_to_num(), 0.0) / self.scale
        distance = difference.square().sum(dim=-1) / wanted.sum(dim=-1)
        return reduce_steps(distance, self.reduction, self.late_weight)

    def select(self, index: Tensor) -> ReadingGoal:
        """The goal of some problems; a shared one is the same for all."""
        if self.value.ndim == 1 or self.value.shape[0] == 1:
            return self
        return ReadingGoal(self.readout, self.value[index], self.scale, self.reduction, self.late_weight)


@dataclass(frozen=True)
class Effort(Term):
    """The mean squared action, in squared action units."""

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`, the same for every imagined future."""
        effort = trajectory.actions.square().mean(dim=(-2, -1))
        return effort[:, :, None].expand(trajectory.states.shape[:3])

    def select(self, index: Tensor) -> Effort:
        """The same for all problems."""
        return self


def goal_state(cost: Cost) -> Tensor | None:
    """The state `[B, *state]`, or `[1, *state]`, that a cost is to come to, whatever else it counts.

    None where it holds no `Goal`, or several, or one that repels.
    """
    (weight, goal), *others = [*_goals(cost), (0.0, None)]
    return goal if weight > 0 and len(others) == 1 else None


def _goals(cost: Cost) -> list[tuple[float, Tensor | None]]:
    """The weights and states of all goals that count in a cost."""
    if isinstance(cost, Goal):
        return [(1.0, cost.state)]
    if isinstance(cost, Scaled):
        return [(cost.weight * weight, goal) for weight, goal in _goals(cost.cost) if cost.weight]
    if isinstance(cost, Sum):
        return [found for each in cost.costs for found in _goals(each)]
    return []


def reduce_steps(distances: Tensor, reduction: Reduction, late_weight: float = 1.0) -> Tensor:
    """Distances at steps 1..T `[..., T]` to one energy `[...]`; the reductions are those of `Goal`."""
    if reduction == "last":
        return distances[..., -1]
    if reduction == "min":
        return distances.amin(dim=-1)
    if reduction == "arrive":
        return distances.amin(dim=-1) + AFTER * (distances.mean(dim=-1) + distances[..., -1])
    if late_weight == 1.0:
        return distances.mean(dim=-1)
    steps = torch.linspace(0, 1, distances.shape[-1], device=distances.device, dtype=distances.dtype)
    weights = late_weight**steps
    return (distances * (weights / weights.sum())).sum(dim=-1)


def checked_energy(cost: Cost, trajectory: Trajectory) -> Tensor:
    """What `cost` says of `trajectory`, once its shape is known to be `[B, S, K]`."""
    value = cost(trajectory)
    if value.shape != trajectory.states.shape[:3]:
        raise ValueError(
            f"a cost must return [B, S, K] = {list(trajectory.states.shape[:3])}; "
            f"{type(cost).__name__} returned {list(value.shape)}. (A guardrail is not a cost: it belongs to "
            "the guardrails of the task or the agent.)"
        )
    return value


def _check_reduction(reduction: str, late_weight: float) -> None:
    if reduction not in get_args(Reduction):
        raise ValueError(f"reduction must be one of {', '.join(get_args(Reduction))}; got {reduction!r}.")
    if not (math.isfinite(late_weight) and late_weight > 0):
        raise ValueError(f"late_weight must be positive and finite; got {late_weight}.")
