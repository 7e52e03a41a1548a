"""Objectives as flags: what `telos plan` and `telos evaluate` are asked to do."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from telos.errors import UnknownName

if TYPE_CHECKING:
    import numpy as np

    from telos.agent import Agent
    from telos.cost import Readout, Region
    from telos.evaluation import Regions
    from telos.model import Model
    from telos.types import Cost, Guardrail, World


@dataclass(frozen=True)
class Objective:
    """What is asked of the agent. Without a goal, the world draws one."""

    goal_image: Path | None = None
    """Make the world look like this picture."""
    goal: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Bring a named readout to a value: READING=VALUE,VALUE ("_" for any)."""
    effort: float = 0.0
    """The weight of the mean squared action."""
    keep_out: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Never let a readout enter a region, READING:box:LOWS,HIGHS or READING:disc:CENTER,RADIUS."""
    keep_in: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Never let a readout leave a region, written in the same way."""


def readout(model: Model, name: str) -> Readout:
    """A readout of the model, or `UnknownName`."""
    if name not in model.readouts:
        raise UnknownName("readout of this model", name, model.readouts)
    return model.readouts[name]  # type: ignore[return-value]  # ModuleDict holds Readouts


def regions(objective: Objective) -> Regions | None:
    """What the flags forbid, as a guardrail protocol; None if nothing."""
    from telos.cost import parse_region
    from telos.evaluation import Regions

    def parsed(texts: tuple[str, ...]) -> tuple[tuple[str, Region], ...]:
        return tuple(parse_region(text) for text in texts)

    if not objective.keep_out and not objective.keep_in:
        return None
    return Regions(outside=parsed(objective.keep_out), inside=parsed(objective.keep_in))


def guardrails(objective: Objective, model: Model) -> tuple[Guardrail, ...]:
    """What the flags forbid, on the model's readouts."""
    from telos.cost import keep_in, keep_out, parse_region

    substeps = 4 * model.config.action_space.block
    made: list[Guardrail] = []
    for texts, keep in ((objective.keep_out, keep_out), (objective.keep_in, keep_in)):
        for text in texts:
            name, region = parse_region(text)
            made.append(keep(readout(model, name), region, substeps=substeps))
    return tuple(made)


def targets(objective: Objective) -> dict[str, list[float]]:
    """The values of `--goal`, by reading."""
    from telos.cost import parse_goal

    return {name: value.tolist() for name, value in map(parse_goal, objective.goal)}


def read_image(path: Path, shape: tuple[int, int, int]) -> np.ndarray:
    """A picture as a frame uint8 `[H, W, C]` of the shape the model knows; it must have that size."""
    import numpy as np
    from PIL import Image, UnidentifiedImageError

    height, width, channels = shape
    try:
        with Image.open(path) as image:
            picture = np.asarray(image.convert("RGB" if channels == 3 else "L"))
    except UnidentifiedImageError:
        raise ValueError(f"{path} is not a picture that can be read (png, jpg, ...).") from None
    if picture.shape[:2] != (height, width):
        raise ValueError(
            f"{path} must be {width} x {height} pixels, as the model's frames are; "
            f"got {picture.shape[1]} x {picture.shape[0]}. Crop and shrink it as your frames are."
        )
    return picture.reshape(height, width, channels)


def goals(objective: Objective, model: Model, frames: np.ndarray | None) -> Cost:
    """The sum of the goals that the flags ask for, else what `frames` `[B, H, W, C]`, the world's, show."""
    import torch

    from telos.cost import Effort, Goal, ReadingGoal, Term, parse_goal
    from telos.types import Observation

    if objective.goal_image is not None:
        frames = read_image(objective.goal_image, model.config.frame_shape)[None]
    elif objective.goal:
        frames = None
    terms: list[Term] = []
    if frames is not None:
        still = Observation.from_frames(frames.copy()).pixels
        assert still is not None
        with torch.no_grad():
            seen = Observation(still.expand(-1, model.config.frames, -1, -1, -1))
            terms.append(Goal(model.moving(model.encode(seen))))
    for text in objective.goal:
        name, value = parse_goal(text)
        head = readout(model, name)
        if len(value) != head.size:
            raise ValueError(f"--goal {text}: {name} has {head.size} values; got {len(value)}.")
        terms.append(ReadingGoal(head, value))
    if not terms:
        raise ValueError("there is no goal: give --goal-image FILE or --goal READING=VALUE.")
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total + objective.effort * Effort() if objective.effort else total


@dataclass(frozen=True)
class Aim:
    """Give an agent the task that the flags ask for, in a world that has just begun one."""

    objective: Objective

    def __call__(self, agent: Agent, world: World) -> None:
        """Set the task."""
        from telos.types import Task

        own = self.objective.goal_image is None and not self.objective.goal
        agent.set_task(Task(goals(self.objective, agent.model, world.goal_frames() if own else None)))
