"""Collect experience in a world, without rewards, into an episode store."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import numpy as np

from telos.data.policies import ExplorationPolicy, Persistent
from telos.data.resume import begin_or_continue
from telos.data.schema import Episode, Schema
from telos.data.store import EpisodeStore
from telos.errors import FrozenFrames, WorldError
from telos.progress import Progress, silent
from telos.types import Ends, World


def collect(
    world: World,
    path: str | Path,
    *,
    episodes: int,
    seed: int,
    length: int | None = None,
    policy: ExplorationPolicy | None = None,
    split: str = "train",
    progress: Progress = silent,
) -> EpisodeStore:
    """Fill the store `path` up to `episodes` episodes of `length` actions (default: the world's own).

    `world.num` episodes run at a time and are committed together. Run it again with the same arguments
    (and `world.num`) and it continues where it stopped, to the same bytes as if it had not; with more
    `episodes` it adds them. The store that is returned is closed for appending. A world whose `id` does not
    say all of it may have `settings`, which are kept beside it. Where a world ends episodes before their
    `length` (`telos.types.Ends`), what is collected after an end is a picture that stands still: a
    `FrozenFrames` warning says at the end how much of it there is.
    The default policy is `Persistent()`. `StoreError` if the store was collected otherwise; `WorldError`
    if the world or the policy breaks its contract.
    """
    policy = Persistent() if policy is None else policy
    length = world.episode_steps if length is None else length
    if episodes < 1 or length < 1:
        raise ValueError(f"episodes and length must be at least 1; got {episodes} and {length}.")
    schema = Schema(
        frame_shape=world.frame_shape,
        action_space=world.action_space,
        readings=world.readings,
        world=world.id,
        source={
            "made_by": "collect",
            "seed": int(seed),
            "length": int(length),
            "split": split,
            "policy": _describe(policy),
            **({"settings": dict(settings)} if (settings := getattr(world, "settings", None)) else {}),
        },
    )
    with begin_or_continue(path, schema) as store:
        progress("collect", min(len(store), episodes), episodes)
        begun, frozen = len(store), 0
        while len(store) < episodes:
            first = len(store) // world.num * world.num
            numbers = range(first, first + world.num)
            batch, after = _run(world, numbers, seed=seed, length=length, policy=policy, split=split)
            new = slice(len(store) - first, episodes - first)
            store.append(batch[new])
            frozen += int(after[new].sum())
            progress("collect", len(store), episodes)
    if frozen:
        _say_frozen(world, frozen, (len(store) - begun) * length)
    return store


def _say_frozen(world: World, frozen: int, steps: int) -> None:
    warnings.warn(
        f"{world.id} had ended the episode before {frozen} of the {steps} steps that were collected "
        f"({frozen / steps:.1%}): nothing moves in them, whatever is done. Where that is more than a few, "
        "collect shorter episodes (--length), or keep the environment from ending them; docs/worlds.md, "
        '"Episodes that end", says what it does to training.',
        FrozenFrames,
        stacklevel=3,
    )


def _describe(policy: ExplorationPolicy) -> str:
    """The policy's name and settings, the same in every process."""
    name = policy.__qualname__ if inspect.isfunction(policy) else repr(policy)
    return type(policy).__qualname__ if " at 0x" in name else name


def _run(
    world: World, numbers: range, *, seed: int, length: int, policy: ExplorationPolicy, split: str
) -> tuple[list[Episode], np.ndarray]:
    """Run the episodes of these numbers; what each one is depends on its number and `seed` alone.

    Also how many of each one's steps came after its world had ended it, `[num]`.
    """
    sources = [np.random.SeedSequence(seed, spawn_key=(number,)) for number in numbers]
    seeds = [int(source.generate_state(1)[0]) for source in sources]
    actions = np.stack(
        [
            _actions(policy, world, length, source, number)
            for source, number in zip(sources, numbers, strict=True)
        ]
    )
    frames = np.empty((world.num, length + 1, *world.frame_shape), np.uint8)
    readings = {
        name: np.empty((world.num, length + 1, reading.size), np.float32)
        for name, reading in world.readings.items()
    }
    now = world.reset(seeds, split=split)
    layouts = np.asarray(world.layouts())
    after = np.zeros(world.num, np.int64)
    for step in range(length + 1):
        if step > 0:
            if isinstance(world, Ends):
                after += world.ended()
            now = world.step(actions[:, step - 1])
        frames[:, step] = _frames(world, now, step)
        values = world.read()
        for name, into in readings.items():
            into[:, step] = _reading(world, name, values, step)
    if layouts.shape != (world.num,) or layouts.dtype.kind not in "iu":
        raise WorldError(
            f"{world.id}: layouts must be integers [{world.num}]; got {layouts.dtype} {list(layouts.shape)}."
        )
    episodes = [
        Episode(
            frames=frames[copy],
            actions=actions[copy],
            readings={name: values[copy] for name, values in readings.items()},
            layout=int(layouts[copy]),
            seed=seeds[copy],
        )
        for copy in range(world.num)
    ]
    return episodes, after


def _actions(
    policy: ExplorationPolicy, world: World, length: int, source: np.random.SeedSequence, number: int
) -> np.ndarray:
    actions = np.asarray(policy(world.action_space, length, np.random.default_rng(source)))
    shape = (length, world.action_space.dimension)
    if actions.shape != shape:
        raise WorldError(
            f"{_describe(policy)}: actions must have shape {list(shape)}; got {list(actions.shape)}."
        )
    if not np.isfinite(actions).all():
        step = int(np.argwhere(~np.isfinite(actions))[0][0])
        raise WorldError(
            f"{_describe(policy)}: actions must be finite; got {actions[step].tolist()} "
            f"at step {step} of episode {number}."
        )
    return actions.astype(np.float32)


def _frames(world: World, frames: np.ndarray, step: int) -> np.ndarray:
    shape = (world.num, *world.frame_shape)
    if not isinstance(frames, np.ndarray) or frames.dtype != np.uint8 or frames.shape != shape:
        got = (
            f"{frames.dtype} {list(frames.shape)}"
            if isinstance(frames, np.ndarray)
            else type(frames).__name__
        )
        raise WorldError(f"{world.id}: frames must be uint8 {list(shape)}; got {got} at step {step}.")
    return frames


def _reading(world: World, name: str, values: dict[str, np.ndarray], step: int) -> np.ndarray:
    shape = (world.num, world.readings[name].size)
    if name not in values:
        raise WorldError(
            f"{world.id}: read() must give '{name}', which `readings` names; got {sorted(values)}."
        )
    value = np.asarray(values[name])
    if value.shape != shape or not np.isfinite(value).all():
        raise WorldError(
            f"{world.id}: reading '{name}' must be finite numbers {list(shape)}; "
            f"got {list(value.shape)} {value.tolist()} at step {step}."
        )
    return value
