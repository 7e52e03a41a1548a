"""What training is measured on: each peer's model as a recipe of telos, and telos' own recipes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import telos
from telos import recipes
from telos.data import Episode, EpisodeStore, Schema
from telos.perception import Patches, Residual
from telos.training import Architecture, Optimisation, Recipe, Representation, Sketched, Weights
from telos.training.methods import VarianceCovariance
from telos.types import ActionSpace
from telos.world_model import History, Recurrent

STEPS = 100  # per episode of noise


@dataclass(frozen=True)
class Shape:
    """A peer's model, and what telos trains in its place."""

    recipe: Recipe
    frame_shape: tuple[int, int, int]
    peer: str
    peer_arguments: tuple[str, ...]  # of its module in `benchmarks.peers`, after the checkout if there is one
    peer_precision: str  # its own
    peer_steps: int  # that are timed at a time, as ours
    differs: str  # where the two are not the same


def shapes() -> dict[str, Shape]:
    """By name."""
    return {
        "eb_jepa": Shape(
            recipe=_eb_jepa(),
            frame_shape=(65, 65, 2),
            peer="eb_jepa",
            peer_arguments=("--batch", "32"),
            peer_precision="bf16",
            peer_steps=2,
            differs=(
                "telos predicts 16 steps of a window, the peer 8 and by their squared error; telos' residual "
                "blocks activate what they are given, the peer's their sum; the predictor's normalisation is "
                "the encoder's in the peer; inverse dynamics has one hidden layer, the peer's two; the peer "
                "trains a position probe on first frames in the same step"
            ),
        ),
        "torch_world": Shape(
            recipe=_lewm(Patches(64, resolution=32, grid=4, patch=8, width=64, depth=6, heads=4), batch=64),
            frame_shape=(32, 32, 3),
            peer="lewm_training",
            peer_arguments=("torch_world", "--width", "64", "--batch", "64"),
            peer_precision="fp32",
            peer_steps=8,
            differs="telos learns its position embeddings, and has 4 heads of 16, the peer 3 of 21",
        ),
        "torch_world_192": Shape(
            recipe=_lewm(Patches(resolution=32, grid=4, patch=8, depth=6), batch=64),
            frame_shape=(32, 32, 3),
            peer="lewm_training",
            peer_arguments=("torch_world", "--width", "192", "--batch", "64"),
            peer_precision="fp32",
            peer_steps=4,
            differs="telos learns its position embeddings",
        ),
        "stable_worldmodel": Shape(
            recipe=_lewm(Patches(resolution=64, grid=8, patch=8), batch=32, block=5),
            frame_shape=(64, 64, 3),
            peer="lewm_training",
            peer_arguments=("stable_worldmodel", "--image", "64", "--patch", "8", "--batch", "32"),
            peer_precision="bf16",
            peer_steps=2,
            differs="nothing in the model",
        ),
    }


def _eb_jepa() -> Recipe:
    """EB-JEPA's two rooms (arXiv 2602.03604): its network, its windows, its batch on a CPU, its weights."""
    return Recipe(
        name="eb_jepa",
        world="",
        architecture=Architecture(block=1, perception=Residual(), predictor=Recurrent(), ensemble=1),
        representation=Representation(
            optimisation=Optimisation(steps=1000, batch=32, learning_rate=1e-3, weight_decay=1e-5, clip=2.0),
            horizon=16,
            method=VarianceCovariance(variance=16.0, covariance=8.0, deviation=1.0),
            weights=Weights(inverse=1.0, temporal=12.0),
            around_window_mean=False,
        ),
        prediction=None,
    )


def _lewm(perception: Patches, *, batch: int, block: int = 1) -> Recipe:
    """LeWM (arXiv 2603.19312) with another encoder."""
    full = recipes.get("lewm")
    assert isinstance(full.representation, Sketched)
    optimisation = replace(full.representation.optimisation, batch=batch)
    return replace(
        full,
        world="",
        architecture=replace(full.architecture, perception=perception, predictor=History(), block=block),
        representation=replace(full.representation, optimisation=optimisation),
    )


def recipe_of(name: str, *, batch: int | None = None) -> Recipe:
    """A shape's recipe, or one of telos' own, with another batch of the representation if asked."""
    found = shapes()[name].recipe if name in shapes() else recipes.get(name)
    stage = found.representation
    if batch is None or stage is None:
        return found
    changed = replace(stage, optimisation=replace(stage.optimisation, batch=batch))
    return replace(found, representation=changed)


def noise(path: Path, frame_shape: tuple[int, int, int], *, episodes: int = 40) -> EpisodeStore:
    """A store of random frames and actions: what a step costs does not depend on what is in them."""
    random = np.random.default_rng(0)
    schema = Schema(frame_shape, ActionSpace((-1.0, -1.0), (1.0, 1.0)))
    with EpisodeStore.create(path, schema) as store:
        for number in range(episodes):
            frames = random.integers(0, 256, (STEPS + 1, *frame_shape), np.uint8)
            actions = random.uniform(-1, 1, (STEPS, 2)).astype(np.float32)
            store.append([Episode(frames, actions, {}, layout=number)])
    return EpisodeStore.open(path)


def collected(path: Path, recipe: Recipe, *, episodes: int) -> EpisodeStore:
    """A store of the recipe's world, as the recipe explores it."""
    plan = recipe.collection
    world = telos.make(recipe.world, min(episodes, 32))
    store = telos.collect(world, path, episodes=episodes, length=plan.length, seed=0, policy=plan.policy)
    world.close()
    return store
