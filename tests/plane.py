"""A plane to act in: a toy world, a model of it that is exact, and the smallest planner."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from telos.configurator import Configurator
from telos.types import ActionSpace, Observation, Plan, PlanStatus, Policy, Problem, Trajectory

SPACE = ActionSpace((-1, -1), (1, 1), max_norm=1.0, block=2)
MARK = 7.0


class Plane:
    """Points that move by their actions; a frame shows twenty times the place as its first two colours."""

    def __init__(self, *places: Sequence[float]) -> None:
        self.places = np.array(places, np.float32)

    def frames(self) -> np.ndarray:
        colours = np.concatenate([self.places * 20, 0 * self.places[:, :1]], -1).round()
        return np.tile(colours.astype(np.uint8)[:, None, None], (1, 4, 4, 1))

    def step(self, actions: np.ndarray) -> np.ndarray:
        self.places = (self.places + actions).clip(0, 12.5)
        return self.frames()


@dataclass(frozen=True)
class Config:
    frames: int = 1
    frame_shape: tuple[int, int, int] = (4, 4, 3)
    action_space: ActionSpace = SPACE
    spacing: int = 1


class PlaneModel(nn.Module):
    """What moves is the place, the scene is a mark that nothing needs; what it imagines comes true."""

    def __init__(self, frames: int = 1) -> None:
        super().__init__()
        self.config = Config(frames)
        self.configurator = Configurator()
        self.gain = nn.Parameter(torch.ones(()))
        self.readouts = nn.ModuleDict({"place": nn.Identity()})
        self.encoded = 0

    def encode(self, observation: Observation) -> Tensor:
        assert observation.pixels is not None
        assert observation.pixels.shape[1] == self.config.frames
        self.encoded += observation.batch
        place = self.gain * observation.pixels[:, -1, :2, 0, 0].float() / 20
        return torch.cat([place, torch.full_like(place[:, :1], MARK)], -1)

    def moving(self, states: Tensor) -> Tensor:
        return states[..., :2]

    def rollout(self, state: Tensor, actions: Tensor) -> Trajectory:
        place = self.moving(state)[:, None, None].expand(-1, actions.shape[1], 1, -1)
        return self.resume(state, place, actions)

    def resume(self, state: Tensor, imagined: Tensor, actions: Tensor) -> Trajectory:
        assert (state[:, 2] == MARK).all()
        moves = SPACE.flatten(actions).unflatten(-1, (SPACE.block, SPACE.dimension)).sum(-2)
        way = torch.cat([torch.zeros_like(moves[:, :, :1]), moves.cumsum(2)], 2)
        return Trajectory(imagined[:, :, :, None] + self.gain * way[:, :, None], actions)

    def policy(self, state: Tensor, goal: Tensor) -> Policy | None:
        """Straight to the goal, as far as a block leads."""
        return lambda imagined: (goal[:, None] - imagined.mean(2)) / SPACE.block

    def read(self, name: str, states: Tensor) -> Tensor:
        return self.readouts[name](self.moving(states))


@dataclass(frozen=True)
class Shooting:
    """The best of straight lines, random walks and `rest`; `problems` notes what it was asked."""

    candidates: int = 128
    problems: list[Problem] | None = None
    rest: bool = True

    def __call__(self, problem: Problem) -> Plan:
        if self.problems is not None:
            self.problems.append(problem)
        space, B, T = problem.level.action_space, problem.batch, problem.horizon
        angle = 2 * math.pi * torch.rand(B, self.candidates, T, generator=problem.generator)
        angle[:, ::2] = angle[:, ::2, :1]
        length = torch.rand(B, self.candidates, 1, generator=problem.generator)
        length = length if self.rest else 0.2 + 0.8 * length
        actions = space.project(torch.stack([angle.cos(), angle.sin()], -1) * length[..., None])
        actions[:, 0] *= not self.rest
        with torch.no_grad():
            trajectory = problem.level.rollout(problem.state, actions)
            energy = problem.aggregate(problem.cost(trajectory))
            worst = torch.full_like(energy, -torch.inf)
            over = torch.zeros_like(energy)
            for guardrail in problem.guardrails:
                signed = guardrail(trajectory)[..., 1:]
                worst = torch.maximum(worst, signed.amax((-2, -1)))
                over += (signed + guardrail.buffer).relu().sum(-1).amax(-1)
        lost = ~(energy.isfinite() & over.isfinite())
        order = torch.where(lost, torch.inf, torch.where(over > 0, 1e6 * (1 + over), energy))
        best, row = order.argmin(1), torch.arange(B)
        return Plan(
            actions=actions[row, best],
            trajectory=trajectory.select(row, best),
            energy=energy[row, best],
            violation=worst[row, best],
            status=tuple(
                PlanStatus.NOT_FINITE if gone else PlanStatus.INFEASIBLE if bad > 0 else PlanStatus.SOLVED
                for gone, bad in zip(lost[row, best].tolist(), over[row, best].tolist(), strict=True)
            ),
            evaluations=self.candidates * T,
            trace=energy[row, best][None],
        )
