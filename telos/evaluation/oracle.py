"""A model of TwoRooms that is right: it reads dot, wall and door from pixels and moves by the true rule.

What the same planner achieves with it is what a better world model could bring.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from telos.configurator import Configurator
from telos.cost import Readout
from telos.evaluation.sight import see
from telos.types import ActionSpace, Observation, Trajectory
from telos.worlds.distractors import DISTRACTORS
from telos.worlds.geometry import move
from telos.worlds.layouts import BORDER, DOOR_HALF, WALL_HALF, Floor
from telos.worlds.painting import (
    DOT_COLOUR,
    FLOOR_COLOUR,
    WALL_COLOUR,
    background,
    paint_dots,
)
from telos.worlds.rooms import MAX_STEP

__all__ = ["Oracle", "OracleConfig"]

SPACE = ActionSpace((-MAX_STEP,) * 2, (MAX_STEP,) * 2, max_norm=MAX_STEP, block=4)
INNER = slice(7, 57)


@dataclass(frozen=True)
class OracleConfig:
    """What the agent asks of a model's configuration."""

    frames: int = 1
    spacing: int = 1
    look: int = 1
    frame_shape: tuple[int, int, int] = (64, 64, 3)
    action_space: ActionSpace = SPACE
    world: str = "telos/TwoRooms-v0"
    state_size: int = 2


class Oracle(nn.Module):
    """What moves is (dot x, dot y), the scene is (wall x, door y), all in pixels.

    Args:
        sees: whether it knows where the dot is.
        decodes: whether it draws what it imagines.
        world: a kind of TwoRooms that it is for; with a distractor in it, pixels are read another way.
    """

    def __init__(self, *, sees: bool = True, decodes: bool = True, world: str = "telos/TwoRooms-v0") -> None:
        super().__init__()
        self.config = OracleConfig(world=world)
        self.configurator = Configurator()
        readout = Readout(2, 2, name="agent_xy", unit="px", hidden=0)
        readout.record(labels=7, error=0.1)
        with torch.no_grad():
            for parameter, value in zip(
                readout.head.parameters(), (torch.eye(2), torch.zeros(2)), strict=True
            ):
                parameter.copy_(value)
        self.readouts = nn.ModuleDict({"agent_xy": readout})
        self.decoder = nn.Identity() if decodes else None
        self.sees = sees

    def encode(self, observation: Observation) -> Tensor:
        """The states `[B, 4]` of pictures."""
        assert observation.pixels is not None
        frames = observation.pixels[:, -1].numpy().transpose(0, 2, 3, 1)
        dots, wall, door = (see if self.config.world in DISTRACTORS else _see_plain)(frames)
        blind = 1.0 if self.sees else 0.0
        return torch.tensor(np.column_stack([dots * blind, wall, door]), dtype=torch.float32)

    def moving(self, states: Tensor) -> Tensor:
        """The dot `[..., 2]` of states."""
        return states[..., :2]

    def rollout(self, state: Tensor, actions: Tensor) -> Trajectory:
        """Imagine, as `Model.rollout`; K = 1."""
        return Trajectory(self.imagine(state, SPACE.flatten(actions)), actions)

    def resume(self, state: Tensor, imagined: Tensor, actions: Tensor) -> Trajectory:
        """Imagine on, as `Model.resume`."""
        return Trajectory(self.imagine(state, SPACE.flatten(actions), begin=imagined[:, :, 0]), actions)

    def imagine(self, state: Tensor, blocks: Tensor, *, begin: Tensor | None = None) -> Tensor:
        """The dot `[B, S, 1, T+1, 2]` after blocks of free actions `[B, S, T, block * A]`."""
        walls = walls_of(state)[:, None]
        begin = state[:, None, :2].expand(-1, blocks.shape[1], -1) if begin is None else begin
        position = begin.double().numpy()
        states = [torch.from_numpy(position).float()]
        steps = blocks.double().unflatten(-1, (-1, 2)).flatten(2, 3).numpy()
        for step in range(steps.shape[2]):
            position = move(position, steps[:, :, step], walls, BORDER)
            if (step + 1) % SPACE.block == 0:
                states.append(torch.from_numpy(position).float())
        return torch.stack(states, 2)[:, :, None]

    def policy(self, state: Tensor, goal: Tensor) -> None:
        """The true world has no reflex."""
        return None

    def read(self, name: str, states: Tensor) -> Tensor:
        """The reading `agent_xy`."""
        return self.readouts[name](self.moving(states))

    def decode(self, states: Tensor, *, perceived: Tensor | None = None) -> Tensor:
        """Pictures of states, uint8 `[..., 64, 64, 3]`."""
        scene = (states if perceived is None else perceived)[..., 2:].expand(*states.shape[:-1], 2)
        flat = torch.cat([self.moving(states), scene], -1).reshape(-1, 4)
        rooms = np.stack([empty(tuple(row)) for row in np.round(walls_of(flat), 1).tolist()])
        frames = paint_dots(rooms, flat[:, :2].double().numpy().clip(2, 61))
        return torch.from_numpy(frames).reshape(*states.shape[:-1], 64, 64, 3)


def _see_plain(frames: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Dots `[n, 2]`, walls' x and doors' y `[n]` of frames `[n, 64, 64, 3]` whose floor has one colour."""
    pixels = frames.astype(float) - FLOOR_COLOUR
    mix = np.stack([WALL_COLOUR - FLOOR_COLOUR, DOT_COLOUR - FLOOR_COLOUR])
    cover, dot = np.moveaxis(pixels @ np.linalg.pinv(mix), -1, 0)
    dot = np.where(dot > 0.03, dot, 0)
    axis = np.arange(64)
    x = (dot.sum(1) * axis).sum(1) / dot.sum((1, 2))
    y = (dot.sum(2) * axis).sum(1) / dot.sum((1, 2))
    column = np.median(cover[:, INNER], axis=1)[:, INNER].clip(0)
    wall = (column * axis[INNER]).sum(1) / column.sum(1)
    rows = 1 - cover[np.arange(len(cover)), :, np.rint(wall).astype(int)][:, INNER].clip(0, 1)
    door = (rows * axis[INNER]).sum(1) / rows.sum(1)
    return np.stack([x, y], axis=1), wall, door


def walls_of(states: Tensor) -> np.ndarray:
    """The two pieces of wall `[N, 2, 4]` that perceived states `[N, 4]` tell of."""
    wall, door = states[:, 2:].double().numpy().T
    left, right = wall - WALL_HALF, wall + WALL_HALF
    above = np.stack([left, np.full_like(wall, -1.0), right, door - DOOR_HALF], -1)
    below = np.stack([left, door + DOOR_HALF, right, np.full_like(wall, 64.0)], -1)
    return np.stack([above, below], 1)


def empty(walls: tuple) -> np.ndarray:
    """The room with these walls and no dot."""
    return _empty(tuple(tuple(wall) for wall in walls))


@lru_cache
def _empty(walls: tuple) -> np.ndarray:
    return background(Floor(np.array(walls), np.zeros((0, 4)), np.zeros((0, 2)), np.zeros((0, 2), int)))
