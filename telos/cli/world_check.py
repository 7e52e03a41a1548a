"""Step a world and compare what it does with what `telos.types.World` asks of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from telos.data import Uniform
from telos.errors import NoTask, WorldError
from telos.types import Ends, World

STEPS = 30


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; a note is worth knowing, a failure breaks training or evaluation."""

    what: str
    verdict: Literal["ok", "note", "failed"]
    said: str = ""


def check_world(world: World, *, seed: int = 0) -> list[Finding]:
    """Look at a world with two copies; every finding, failures included."""
    findings: list[Finding] = []
    for what, look in _LOOKS.items():
        try:
            verdict, said = look(world, seed)
        except (WorldError, ValueError) as error:
            verdict, said = "failed", str(error)
        findings.append(Finding(what, verdict, said))
    return findings


_Verdict = tuple[Literal["ok", "note", "failed"], str]


def _seeds(world: World, seed: int) -> list[int]:
    return [seed + copy for copy in range(world.num)]


def _actions(world: World, steps: int, seed: int) -> np.ndarray:
    drawn = Uniform()(world.action_space, steps * world.num, np.random.default_rng(seed))
    return drawn.reshape(steps, world.num, -1)


def _episode(world: World, seed: int) -> np.ndarray:
    frames = [world.reset(_seeds(world, seed))]
    frames += [world.step(actions) for actions in _actions(world, STEPS, seed)]
    return np.stack(frames)


def _frames(world: World, seed: int) -> _Verdict:
    frames = _episode(world, seed)
    wanted = (STEPS + 1, world.num, *world.frame_shape)
    if frames.dtype != np.uint8 or frames.shape != wanted:
        return (
            "failed",
            f"frames must be uint8 {list(wanted[1:])}; got {frames.dtype} {list(frames.shape[1:])}.",
        )
    if frames.min() == frames.max():
        return "failed", "every pixel of every frame has the same value: does the camera see anything?"
    return "ok", f"uint8 {' x '.join(map(str, world.frame_shape))}"


def _acting(world: World, seed: int) -> _Verdict:
    frames = _episode(world, seed).astype(np.int16)
    changed = float((np.abs(np.diff(frames, axis=0)) > 8).any(axis=-1).mean())
    if changed == 0:
        return "note", f"no pixel changed visibly in {STEPS} random steps: there is nothing to learn from."
    return "ok", f"{changed:.1%} of the pixels change per random step"


def _lasting(world: World, seed: int) -> _Verdict:
    if not isinstance(world, Ends):
        return "ok", "the world does not end them"
    _episode(world, seed)
    if ended := int(world.ended().sum()):
        return "note", (
            f"{ended} of {world.num} ended within {STEPS} random steps, and stood still from there on: "
            'collect shorter ones (--length). docs/worlds.md, "Episodes that end".'
        )
    return "ok", f"none ended within {STEPS} random steps"


def _repeatable(world: World, seed: int) -> _Verdict:
    if np.array_equal(_episode(world, seed), _episode(world, seed)):
        return "ok", "same seeds and actions, same frames"
    return "note", "same seeds and actions gave other frames: results cannot be repeated exactly."


def _readings(world: World, seed: int) -> _Verdict:
    _episode(world, seed)
    values = world.read()
    if set(values) != set(world.readings):
        return "failed", f"read() must give {sorted(world.readings)}; got {sorted(values)}."
    for name, reading in world.readings.items():
        if values[name].shape != (world.num, reading.size) or not np.isfinite(values[name]).all():
            return "failed", f"'{name}' must be finite numbers [{world.num}, {reading.size}]."
    if not world.readings:
        return "note", "none: goals can only be images, and there are no guardrails on readings."
    return "ok", ", ".join(world.readings)


def _splits(world: World, seed: int) -> _Verdict:
    world.reset(_seeds(world, seed))
    train = set(world.layouts().tolist())
    world.reset(_seeds(world, seed), split="heldout")
    if train & set(world.layouts().tolist()):
        return "note", "layouts of train occur in heldout: results do not show generalisation to new ones."
    return "ok", "layouts of train and heldout differ"


def _goals(world: World, seed: int) -> _Verdict:
    try:
        first = world.reset(_seeds(world, seed), split="heldout", task=True)
    except NoTask as error:
        return "note", str(error)
    goals = world.goal_frames()
    if goals.shape != first.shape or goals.dtype != np.uint8:
        return (
            "failed",
            f"goal_frames() must be uint8 {list(first.shape)}; got {goals.dtype} {list(goals.shape)}.",
        )
    already = world.reached()
    if already.shape != (world.num,) or already.dtype != bool:
        return "failed", f"reached() must be {world.num} booleans; got {already.dtype} {list(already.shape)}."
    if already.any():
        return "note", f"{already.sum()} of {world.num} goals are reached at the start already."
    return "ok", "drawn, drawable, not reached at the start"


def _speed(world: World, seed: int) -> _Verdict:
    began = time.process_time()
    _episode(world, seed)
    spent = max(time.process_time() - began, 1e-6)
    return "ok", f"{STEPS * world.num / spent:,.0f} rendered steps per CPU-second"


_LOOKS: dict[str, Callable[[World, int], _Verdict]] = {
    "frames": _frames,
    "actions change the picture": _acting,
    "episodes last": _lasting,
    "repeatable": _repeatable,
    "readings": _readings,
    "splits": _splits,
    "goals": _goals,
    "speed": _speed,
}
