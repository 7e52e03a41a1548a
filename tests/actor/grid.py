"""A place on a grid that stays or moves by one, with a wall: problems that can be enumerated."""

from __future__ import annotations

import torch
from torch import Tensor

from telos.actor.discrete import choices
from telos.actor.ranking import imagine, score
from telos.types import ActionSpace, Problem, Trajectory

FIVE = ActionSpace.discrete(5)
MOVES = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]])
WALL = torch.tensor([[1.0, 0.0], [1.0, -1.0]])  # between (0, 0) and (2, 0); the way round is by (1, 1)


def walk(state: Tensor, actions: Tensor) -> Trajectory:
    """The rollout: actions `[B, S, T, 5 * steps]` move a place `[B, 2]`; a step into the wall is none."""
    place = state[:, None].expand(-1, actions.shape[1], -1)
    states = [place]
    for block in actions.unbind(2):
        for action in block.unflatten(-1, (-1, 5)).unbind(2):
            there = place + action @ MOVES.to(action)
            blocked = (there[..., None, :] == WALL.to(there)).all(-1).any(-1, keepdim=True)
            place = torch.where(blocked, place, there)
        states.append(place)
    return Trajectory(torch.stack(states, 2)[:, :, None], actions)


def enumerated(problem: Problem) -> Tensor:
    """The lowest energy `[B]` among all feasible plans, by trying every one of them."""
    blocks = choices(problem.level.action_space, problem.state)
    numbers = torch.cartesian_prod(*[torch.arange(len(blocks))] * problem.horizon)
    plans = blocks[numbers.reshape(-1, problem.horizon)].expand(problem.batch, -1, -1, -1)
    scored, _ = score(problem, imagine(problem, plans))
    return scored.energy.where(scored.feasible, torch.inf).amin(1)
