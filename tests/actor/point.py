"""A point that is moved by its actions: problems whose answer is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from telos.actor import mean
from telos.types import ActionSpace, Budget, Level, Problem, Resume, Rollout, Trajectory

WIDE = ActionSpace((-2.0, -2.0), (2.0, 2.0))


def move(state: Tensor, actions: Tensor) -> Trajectory:
    """The rollout: the state is a place, and each action is added to it."""
    way = torch.cat([torch.zeros_like(actions[:, :, :1]), actions.cumsum(2)], 2)
    return Trajectory((state[:, None, None] + way)[:, :, None], actions)


def push(state: Tensor, actions: Tensor) -> Trajectory:
    """The rollout of a double integrator: `[B, 4]` is place and velocity, actions change the velocity."""
    place, velocity = state[:, None, :2].expand(-1, actions.shape[1], -1), state[:, None, 2:]
    states = [torch.cat([place, velocity.expand_as(place)], -1)]
    for action in actions.unbind(2):
        velocity = velocity + 0.5 * action
        place = place + 0.5 * velocity
        states.append(torch.cat([place, velocity], -1))
    return Trajectory(torch.stack(states, 2)[:, :, None], actions)


def onward(rollout: Rollout) -> Resume:
    """Imagine on with a rollout of one future: every imagined state is a problem of its own."""

    def resume(state: Tensor, imagined: Tensor, actions: Tensor) -> Trajectory:
        lead = imagined.shape[:3]
        each = actions[:, :, None].expand(*lead, *actions.shape[2:]).flatten(0, 2)
        states = rollout(imagined.flatten(0, 2), each[:, None]).states[:, 0, 0]
        return Trajectory(states.unflatten(0, lead), actions)

    return resume


@dataclass(frozen=True)
class Quadratic:
    """The summed squared distance to a target `[B, 2]`, and `effort` times the squared actions."""

    target: Tensor
    effort: float = 0.0

    def __call__(self, trajectory: Trajectory) -> Tensor:
        away = trajectory.states[..., 1:, :2] - self.target[:, None, None, None]
        effort = trajectory.actions.square().sum((2, 3))[:, :, None]
        return away.square().sum((3, 4)) + self.effort * effort

    def select(self, index: Tensor) -> Quadratic:
        return Quadratic(self.target[index], self.effort)


@dataclass(frozen=True)
class Zone:
    """The guardrail to stay out of a disc: its radius minus the distance to its centre."""

    centre: tuple[float, float]
    radius: float
    scale: float = 1.0
    buffer: float = 0.0

    def __call__(self, trajectory: Trajectory) -> Tensor:
        away = trajectory.states[..., :2] - torch.tensor(self.centre, dtype=trajectory.states.dtype)
        return self.radius - torch.linalg.vector_norm(away, dim=-1)

    def select(self, index: Tensor) -> Zone:
        return self


@dataclass(frozen=True)
class Formula:
    """A cost or guardrail from a function of the trajectory."""

    function: Callable[[Trajectory], Tensor]
    scale: float = 1.0
    buffer: float = 0.0

    def __call__(self, trajectory: Trajectory) -> Tensor:
        return self.function(trajectory)

    def select(self, index: Tensor) -> Formula:
        return self


@dataclass(frozen=True)
class Setting:
    """How `problem` makes a problem; change what a test is about."""

    space: ActionSpace = WIDE
    rollout: Rollout = move
    seed: int = 0
    budget: Budget = field(default_factory=lambda: Budget(8))


@dataclass(frozen=True)
class Lazy:
    """The policy that goes most of the way to a target `[B, 2]`, by actions in this space."""

    target: Tensor
    space: ActionSpace

    def __call__(self, imagined: Tensor) -> Tensor:
        away = 0.7 * (self.target[:, None] - imagined[:, :, 0, :2])
        if not self.space.one_hot:
            return away.repeat(1, 1, self.space.size // 2)
        # In the grid the actions are to stay, right, down, left and up: a score for each.
        scores = torch.cat([torch.zeros_like(away[..., :1]), away, -away], -1)
        return scores[..., : self.space.dimension].repeat(1, 1, self.space.size // self.space.dimension)


def problem(
    state: list[list[float]] | Tensor,
    target: list[list[float]],
    *,
    setting: Setting | None = None,
    horizon: int = 6,
    effort: float = 0.0,
    **changes: Any,
) -> Problem:
    """Go from the places `state` to `target`; `changes` are other fields of the problem."""
    setting = setting or Setting()
    start = torch.as_tensor(state)
    return Problem(
        **{
            "state": start,
            "levels": (Level(setting.rollout, setting.space, resume=onward(setting.rollout)),),
            "cost": Quadratic(torch.tensor(target, dtype=start.dtype), effort),
            "aggregate": mean,
            "horizon": horizon,
            "generator": torch.Generator().manual_seed(setting.seed),
            "budget": setting.budget,
            "policy": Lazy(torch.tensor(target, dtype=start.dtype), setting.space),
            **changes,
        }
    )
