"""The vocabulary: what the boxes of the figure say to each other.

Letters in shapes: B independent problems, S candidates, K imagined futures, T time steps,
D state, A action dimensions, Z latent. `*state` is whatever follows B in a state (`[D]`, or
`[N, D]`); only the world model and the costs that ask for it look inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from telos.spaces import ActionSpace


@dataclass(frozen=True)
class Observation:
    """What the agent senses: `pixels` `[B, T, C, H, W]` uint8, `proprioception` `[B, T, P]`, or both.

    T is the number of consecutive frames; the last one is the present.
    """

    pixels: Tensor | None = None
    proprioception: Tensor | None = None

    def __post_init__(self) -> None:
        if self.pixels is None and self.proprioception is None:
            raise ValueError("Observation needs pixels, proprioception, or both; got neither.")
        if self.pixels is not None and (self.pixels.ndim != 5 or self.pixels.dtype != torch.uint8):
            raise ValueError(
                "pixels must be uint8 of shape [B, T, C, H, W]; got "
                f"{self.pixels.dtype} {list(self.pixels.shape)}. Observation.from_frames takes [B, H, W, C]."
            )
        if self.proprioception is not None and self.proprioception.ndim != 3:
            raise ValueError(
                f"proprioception must have shape [B, T, P]; got {list(self.proprioception.shape)}."
            )

    @staticmethod
    def from_frames(frames: np.ndarray | Tensor) -> Observation:
        """One frame per problem, as cameras and Gymnasium give them: uint8 `[B, H, W, C]` or `[H, W, C]`."""
        tensor = torch.as_tensor(frames)
        if tensor.ndim == 3:
            tensor = tensor[None]
        if tensor.ndim != 4 or tensor.dtype != torch.uint8 or tensor.shape[-1] not in (1, 3):
            raise ValueError(
                "frames must be uint8 of shape [B, H, W, C] or [H, W, C] with C 1 or 3; got "
                f"{tensor.dtype} {list(tensor.shape)}."
            )
        return Observation(pixels=tensor.permute(0, 3, 1, 2)[:, None])

    @property
    def batch(self) -> int:
        """B, the number of independent problems."""
        present = self.pixels if self.pixels is not None else self.proprioception
        assert present is not None
        return present.shape[0]

    def select(self, index: Tensor) -> Observation:
        """The observations of some problems: `index` is an integer or boolean tensor over B."""
        return Observation(
            None if self.pixels is None else self.pixels[index],
            None if self.proprioception is None else self.proprioception[index],
        )


@dataclass(frozen=True)
class Trajectory:
    """Imagined futures. Step 0 is the present; K is 1 where the world model is deterministic."""

    states: Tensor  # [B, S, K, T+1, *state]
    actions: Tensor  # [B, S, T, size]
    latents: Tensor | None = None  # [B, S, K, T, Z]

    @property
    def horizon(self) -> int:
        """T, the number of blocks."""
        return self.actions.shape[2]

    def select(self, problem: Tensor, candidate: Tensor) -> Trajectory:
        """One candidate `[P]` of each of some problems `[P]`, as a trajectory with B = P and S = 1."""
        return Trajectory(
            self.states[problem, candidate][:, None],
            self.actions[problem, candidate][:, None],
            None if self.latents is None else self.latents[problem, candidate][:, None],
        )


class Cost(Protocol):
    """A differentiable energy of imagined futures; lower is better."""

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Energy `[B, S, K]`."""
        ...

    def select(self, index: Tensor) -> Cost:
        """The cost of some problems: `index` is an integer or boolean tensor over B."""
        ...


class Guardrail(Protocol):
    """A constraint on imagined futures, held and never traded against a cost."""

    @property
    def scale(self) -> float:
        """What one unit of violation is worth against other guardrails (in the reading's units)."""
        ...

    @property
    def buffer(self) -> float:
        """How far inside the allowed region a prediction must stay, in the reading's units."""
        ...

    def __call__(self, trajectory: Trajectory) -> Tensor:
        """Signed violation `[B, S, K, T+1]` in the reading's units; satisfied where `<= -buffer`.

        Step t holds the worst point of block t (t >= 1); step 0 is the present.
        """
        ...

    def select(self, index: Tensor) -> Guardrail:
        """The guardrail of some problems: `index` is an integer or boolean tensor over B."""
        ...


Rollout = Callable[[Tensor, Tensor], Trajectory]
"""Imagine: states `[B, *state]` and actions `[B, S, T, size]` to a `Trajectory`."""

Resume = Callable[[Tensor, Tensor, Tensor], Trajectory]
"""Imagine on: states `[B, *state]`, imagined ones `[B, S, K, *state]` to begin at in their place, one per
candidate and future, and actions `[B, S, T, size]` to a `Trajectory`."""

Policy = Callable[[Tensor], Tensor]
"""React: imagined states `[B, S, K, *state]` to the block of actions `[B, S, size]` that leads on from there
to the problem's goal. It is bound to scenes and goals, and need not stay inside the action space."""

Aggregate = Callable[[Tensor], Tensor]
"""Energy over imagined futures `[B, S, K]` to one energy per candidate `[B, S]`."""


@dataclass(frozen=True)
class Level:
    """One level of a hierarchy of world models: flat planning has exactly one."""

    rollout: Rollout
    action_space: ActionSpace
    stride: int = 1
    below: Level | None = None
    resume: Resume | None = None  # for planners that go on from what they have imagined


@dataclass(frozen=True)
class Budget:
    """When a search stops: after `iterations`, or when `seconds` of wall time have passed."""

    iterations: int = 5
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1; got {self.iterations}.")
        if self.seconds is not None and math.isnan(self.seconds):
            raise ValueError("seconds must be a number, or None for no deadline; got NaN.")


@dataclass(frozen=True)
class Task:
    """What is asked of the agent: a cost, guardrails beyond the agent's own, seconds per plan."""

    cost: Cost
    guardrails: Sequence[Guardrail] = ()  # kept as a tuple
    deadline: float | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "guardrails", tuple(self.guardrails))


@dataclass(frozen=True)
class Problem:
    """Everything a planner may know."""

    state: Tensor  # [B, *state]
    levels: tuple[Level, ...]
    cost: Cost
    aggregate: Aggregate
    horizon: int  # T, in blocks
    generator: torch.Generator
    guardrails: tuple[Guardrail, ...] = ()
    budget: Budget = field(default_factory=Budget)
    warm_start: Tensor | None = None  # [B, T, size], the last plan shifted to the present
    alternatives: Tensor | None = None  # [B, N, T, size], other plans to begin with: the last one's, shifted
    policy: Policy | None = None  # None where nothing was distilled, or the cost is not to come to a state

    def __post_init__(self) -> None:
        if self.horizon < 1 or not self.levels:
            raise ValueError(
                f"horizon must be at least 1 block and levels at least one; got {self.horizon} and "
                f"{len(self.levels)} levels."
            )

    @property
    def level(self) -> Level:
        """The level that acts."""
        return self.levels[0]

    @property
    def batch(self) -> int:
        """B, the number of independent problems."""
        return self.state.shape[0]


class PlanStatus(Enum):
    """How a search ended, for one problem."""

    SOLVED = "solved"  # a feasible plan was found within the budget
    INFEASIBLE = "infeasible"  # no candidate satisfied the guardrails
    OUT_OF_TIME = "out_of_time"  # the deadline came first; the plan is the best feasible one so far
    NOT_FINITE = "not_finite"  # every candidate's energy was NaN or infinite


@dataclass(frozen=True)
class Plan:
    """The answer of a planner. Every plan returned was scored, never a mean of scored ones."""

    actions: Tensor  # [B, T, size], inside the action space
    trajectory: Trajectory  # imagined, S = 1
    energy: Tensor  # [B]
    violation: Tensor  # [B]: worst predicted one over guardrails, futures and steps 1..T; -inf without any
    status: tuple[PlanStatus, ...]  # length B
    evaluations: int  # predictor rows per problem
    trace: Tensor  # [I, B]: best energy after each iteration
    alternatives: tuple[Plan, ...] = ()  # other distinct optima; where few differ, the next best fill up

    def mask(self, *status: PlanStatus) -> Tensor:
        """Boolean `[B]`: the problems that ended in one of these ways."""
        return torch.tensor([s in status for s in self.status], device=self.actions.device)


Planner = Callable[[Problem], Plan]


@dataclass(frozen=True)
class Configuration:
    """What the configurator decided for one plan, and why.

    With a `tube` the agent perceives at every step, and plans before its time where what moves is farther
    from what was imagined for now than the imagined futures are apart, by more than `tube`: a root mean
    square over D, in the units of states. `PlanRecord.strayed` tells what is usual.
    """

    planner: Planner
    horizon: int  # in blocks
    budget: Budget
    replan_every: int  # environment steps that are executed before the next plan, at most
    reason: str = ""
    tube: float | None = None

    def __post_init__(self) -> None:
        if self.tube is not None and not self.tube >= 0:
            raise ValueError(f"tube must be a distance of at least 0, or None; got {self.tube}.")


@dataclass(frozen=True)
class Reading:
    """A named quantity of a world that labels, probes, goals and guardrails can speak of."""

    size: int
    unit: str = ""
    low: tuple[float, ...] | None = None
    high: tuple[float, ...] | None = None


@runtime_checkable
class World(Protocol):
    """`num` copies of an environment, stepped together; what telos asks of any world.

    Frames are uint8 `[num, H, W, C]`. See `telos.worlds` for the built-in ones and for the adapter
    that makes one out of a Gymnasium environment.
    """

    id: str
    num: int
    frame_shape: tuple[int, int, int]  # H, W, C
    action_space: ActionSpace  # of one environment step: block 1
    readings: Mapping[str, Reading]
    episode_steps: int

    def reset(self, seeds: Sequence[int], *, split: str = "train", task: bool = False) -> np.ndarray:
        """Start `num` episodes, one per seed; the first frames.

        `split` is "train" or "heldout": layouts of the two never overlap. With `task` the start and a
        goal are drawn as the world's evaluation protocol says; without, as experience is collected.
        A world that sets no tasks raises `telos.errors.NoTask`, here and from all that asks for goals.
        """
        ...

    def step(self, actions: np.ndarray) -> np.ndarray:
        """Execute one action per copy, float32 `[num, A]`; the next frames."""
        ...

    def read(self) -> dict[str, np.ndarray]:
        """The true readings of the present, each float32 `[num, size]`."""
        ...

    def layouts(self) -> np.ndarray:
        """An integer per copy `[num]` that identifies what stays fixed during the episode."""
        ...

    def goal_frames(self) -> np.ndarray:
        """How each goal looks: uint8 `[num, H, W, C]`. Only after `reset(..., task=True)`.

        `NoTask` where goals are no pictures.
        """
        ...

    def goal_readings(self) -> dict[str, np.ndarray]:
        """The true readings at each goal, each float32 `[num, size]`."""
        ...

    def reached(self) -> np.ndarray:
        """Whether each copy is at its goal now, bool `[num]`."""
        ...

    def close(self) -> None:
        """Free what the environment holds."""
        ...


@runtime_checkable
class Ends(Protocol):
    """A world whose episodes may be over before they are stepped to their end, as Gymnasium's may."""

    def ended(self) -> np.ndarray:
        """Which copies have ended, bool `[num]`: they stand still until the next reset, whatever is done."""
        ...


__all__ = [
    "ActionSpace",
    "Aggregate",
    "Budget",
    "Configuration",
    "Cost",
    "Ends",
    "Guardrail",
    "Level",
    "Observation",
    "Plan",
    "PlanStatus",
    "Planner",
    "Policy",
    "Problem",
    "Reading",
    "Resume",
    "Rollout",
    "Task",
    "Trajectory",
    "World",
]
