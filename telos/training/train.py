"""Train a world model on an episode store: the stages, one after the other."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from telos.checkpoint import fingerprint
from telos.configuration import to_dict
from telos.data import EpisodeStore
from telos.errors import CheckpointError, TrainingError
from telos.model import Model, ModelConfig
from telos.nn import batch_statistics
from telos.progress import Progress, silent
from telos.training.batches import BlockWindows
from telos.training.compute import Compute
from telos.training.config import Recipe, Representation, Sketched
from telos.training.curves import Service
from telos.training.distillation import REFLEX_BLOCKS, fit_reflex
from telos.training.distributed import Processes
from telos.training.encoded import Encoded
from telos.training.heads import DECODER_FRAMES, decoder_step, decoder_windows, fit_readouts
from telos.training.memory import kept_memory
from telos.training.representation import RepresentationLoss
from telos.training.run import Run
from telos.training.stages import prediction_step, representation_step
from telos.types import Observation, Reading

ENCODED = "encoded"  # the folder in a run's for what is encoded while predictors learn


def train(
    store: EpisodeStore,
    recipe: Recipe,
    folder: str | Path,
    *,
    seed: int = 0,
    reflex: bool = False,
    allow_collapse: bool = False,
    save_seconds: float = 30.0,
    progress: Progress = silent,
    compute: Compute | None = None,
    log: str | None = None,
) -> Model:
    """Train what `recipe` says on the training episodes of `store`; the model is in `folder/model`.

    Stages: the representation (encoder, predictor and inverse dynamics together; not where a pretrained
    network is taken as it is), the predictors on frozen states, a decoder, readouts. A run that was stopped
    goes on where it last saved, to the same losses; a finished one only fits its readouts again, and keeps
    a reflex that it has. With `reflex` what `recipe.configurator` plans when it explores becomes a reactive
    policy (`fit_reflex`).
    `folder/metrics.jsonl` and an event file for TensorBoard beside it hold the curves, and the state to go on
    from is saved after every `save_seconds` CPU seconds (0: after every step), while a slow encoder encodes
    all episodes too.

    Where torch.distributed has a process group, all of its processes must call this with the same arguments:
    each takes its slice of every batch, the losses are those of one process, and the first alone reports
    progress and reads and writes `folder`, but for the episodes that each has encoded. A run may go on with
    another number of processes than it began with.

    Args:
        compute: the device, how weights are held, and how much of a batch is encoded at once.
        log: "wandb" or "trackio", to send the curves there too.

    Errors: `TrainingError` if a loss is not finite or the representation has collapsed (unless
    `allow_collapse`), or another process stopped; `CheckpointError` if `folder` holds another run, or one
    that is training now; `ValueError` if the recipe has no stage that trains what is to be trained, or a
    batch is no multiple of the number of processes.

    Returns: the model, on the CPU, the same in every process; its agent plans by `recipe.configurator`.
    """
    folder, compute, processes = Path(folder), compute or Compute(), Processes()
    progress = progress if processes.first else silent
    _check_batches(recipe, processes)
    _check_lengths(recipe, store, processes, reflex=reflex)
    with kept_memory(), processes.waiting_for_none():
        model = _new_model(model_config(store, recipe), store, recipe, seed)
        _check_stages(model, recipe)
        learner = _learner(model, recipe.representation, seed).to(compute.place())
        model.encoder.micro_batches = compute.micro_batches
        told = {"recipe": to_dict(recipe), "seed": seed, "frames": store.num_frames}
        with Run(
            folder,
            learner,
            _fingerprint(store, recipe, seed),
            seed=seed,
            compute=compute,
            processes=processes,
            tracker=None if log is None else lambda: Service(log, folder, told),
        ) as run:
            loop = partial(run.stage_loop, progress=progress, save_seconds=save_seconds)
            model = _fit_stages(
                run,
                loop,
                model,
                store,
                recipe,
                progress,
                allow_collapse=allow_collapse,
                save_seconds=save_seconds,
            )
            fit_readouts(model, store, recipe.heads, seed=seed, progress=progress)
            if reflex:
                fit_reflex(model.eval(), store, recipe.configurator.explore, seed=seed, progress=progress)
            elif kept := processes.of_first(run.of_first(lambda: _reflex_of(folder / "model", model))):
                model.add_reflex().load_state_dict(kept)
            model.configurator = recipe.configurator
            told["cpu_seconds"] = round(run.clock.seconds(processes), 1)
            run.of_first(lambda: model.save(folder / "model", provenance=told))
    return model.cpu().eval()


def _fit_stages(
    run: Run,
    loop: Callable[..., None],
    model: Model,
    store: EpisodeStore,
    recipe: Recipe,
    progress: Progress,
    *,
    allow_collapse: bool,
    save_seconds: float,
) -> Model:
    """Everything that batches train; the model, which is another one where it was sharded."""
    learner, settings = run.model, recipe.representation
    if settings is not None:
        taught = isinstance(learner, RepresentationLoss)
        loop(
            "representation",
            _learned(model, learner),
            representation_step(
                learner, model, store, settings, run.processes, allow_collapse=allow_collapse
            ),
            settings.optimisation,
            after=learner.after_step if taught else None,
            shardable=not taught,  # teachers look at weights between steps
            constant=not (isinstance(settings, Representation) and settings.joins),
        )
        if isinstance(run.model, Model):
            model = run.model
    model.encoder.eval()
    encoded = run.folder / ENCODED
    # Encoding every frame takes a while, and only this stage needs it.
    if recipe.prediction is not None and "prediction" not in run.finished:
        keep = Encoded(
            encoded / f"{run.processes.rank} of {run.processes.count}",
            of=f"{run.fingerprint} {fingerprint(model.encoder)}",
            every=save_seconds,
        )
        if recipe.prediction.anew and run.stage != "prediction":  # and not in the middle of it
            model.predictors.load_state_dict(_untrained(model.config, run.seed).predictors.state_dict())
        loop(
            "prediction",
            model.predictors.parameters(),
            prediction_step(model, store, recipe.prediction, progress, run.processes, keep),
            recipe.prediction.optimisation,
        )
    shutil.rmtree(encoded, ignore_errors=True)
    assert model.decoder is not None
    decoder = recipe.heads.decoder
    if decoder.steps:
        loop(
            "decoder",
            model.decoder.parameters(),
            decoder_step(model, store, decoder.batch, run.processes),
            decoder,
        )
    return model


def _check_batches(recipe: Recipe, processes: Processes) -> None:
    """`ValueError` if a batch cannot be shared out among the processes."""
    for name in ("representation", "prediction"):
        stage = getattr(recipe, name)
        if stage is not None:
            processes.check_batch(f"{name}.optimisation.batch", stage.optimisation.batch)
    decoder = recipe.heads.decoder
    if decoder.steps and decoder_windows(decoder.batch) < processes.count:
        raise ValueError(
            f"heads.decoder.batch must have a window of {DECODER_FRAMES} frames for each of the "
            f"{processes.count} processes; got {decoder.batch}. Raise it to "
            f"{DECODER_FRAMES * processes.count}, or start fewer processes."
        )


def _check_lengths(recipe: Recipe, store: EpisodeStore, processes: Processes, *, reflex: bool) -> None:
    """`TrainingError` if a stage's windows are longer than the episodes, before anything is trained."""
    parts, lengths = recipe.architecture, store.lengths[store.split()[0]]
    look = (parts.frames - 1) * parts.spacing + 1
    asked = []  # by what, how many blocks, how many episodes must have as many, what else can be done
    if recipe.representation is not None:
        asked.append(("representation.horizon", recipe.representation.horizon, 1, "lower the horizon"))
    if recipe.prediction is not None:  # its episodes are shared out
        asked.append(("prediction.horizon", recipe.prediction.horizon, processes.count, "lower the horizon"))
    if recipe.heads.decoder.steps:
        asked.append(("heads.decoder", DECODER_FRAMES - 1, 1, "train none (heads.decoder.steps=0)"))
    if reflex:
        asked.append(("a reflex", REFLEX_BLOCKS, 1, "leave it out"))
    for name, blocks, least, otherwise in asked:
        needed = look + blocks * parts.block
        if (enough := int((lengths >= needed).sum())) < least:
            raise TrainingError(
                f"{name} asks for windows of {needed} frames; {enough} of {len(lengths)} training "
                f"episodes have as many, the longest {lengths.max(initial=0)}, and {least} must. Collect "
                f"longer episodes, or {otherwise}."
            )


def _reflex_of(folder: Path, model: Model) -> dict[str, Tensor] | None:
    """The weights of the reflex of the checkpoint `folder`, if it was distilled from this very model."""
    try:
        found = Model.load(folder)
    except CheckpointError:
        return None
    alike = fingerprint(found.encoder) == fingerprint(model.encoder) and (
        fingerprint(found.predictors) == fingerprint(model.predictors)
    )
    return found.reflex.state_dict() if found.reflex is not None and alike else None


def model_config(store: EpisodeStore, recipe: Recipe) -> ModelConfig:
    """The shapes of the model that `recipe` trains on `store`.

    Its world is the store's: none where recordings were imported. Bounds that were collected in are drawn in
    to `recipe.collection.share`, which is what was explored of them; those of recordings were explored whole.
    """
    parts = recipe.architecture
    schema = store.schema
    share = recipe.collection.share if schema.source.get("made_by") == "collect" else 1.0
    return ModelConfig(
        world=schema.world,
        frame_shape=schema.frame_shape,
        action_space=replace(schema.action_space.within(share), block=parts.block, held=parts.held),
        frames=parts.frames,
        spacing=parts.spacing,
        perception=parts.perception,
        predictor=parts.predictor,
        recovered=parts.recovered,
        ensemble=parts.ensemble,
        readings={name: _told(reading) for name, reading in schema.readings.items()},
    )


def _told(reading: Reading) -> Reading:
    """A reading as a checkpoint can tell it, in JSON: one without end has no bounds."""
    ends = [*(reading.low or ()), *(reading.high or ())]
    return reading if np.isfinite(ends).all() else replace(reading, low=None, high=None)


def _untrained(config: ModelConfig, seed: int) -> Model:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = Model(config)
        model.add_decoder()
    return model


def _new_model(config: ModelConfig, store: EpisodeStore, recipe: Recipe, seed: int) -> Model:
    """An untrained model with the store's pixel statistics; the same weights for the same seed."""
    model = _untrained(config, seed)
    windows = BlockWindows(
        store,
        horizon=1,
        block=config.action_space.block,
        frames=config.frames,
        spacing=config.spacing,
        episodes=store.split()[0],
    )
    pixels, _ = windows.sample(256, torch.Generator().manual_seed(seed))
    model.encoder.standardise_by(pixels.unflatten(2, (config.frames, -1)).flatten(0, 2))
    if recipe.representation is not None and not recipe.representation.optimisation.steps:
        # An encoder that stays as it began has the statistics that training would have given it.
        with torch.no_grad(), batch_statistics(model.encoder, momentum=1.0):
            model.encode(Observation(pixels[:, 0].unflatten(1, (config.frames, -1))))
    return model


def _learner(
    model: Model, settings: Representation | Sketched | None, seed: int
) -> RepresentationLoss | Model:
    """The model with what only its first stage needs; the same weights for the same seed."""
    if not isinstance(settings, Representation):
        return model
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return RepresentationLoss(model, settings)


def _learned(model: Model, learner: nn.Module) -> list[nn.Parameter]:
    """What the first stage trains: encoder, first predictor, inverse dynamics, and what only it needs."""
    kept = {id(value) for part in model.children() for value in part.parameters()}
    only = [value for value in learner.parameters() if id(value) not in kept]
    parts = (model.encoder, model.predictor, model.inverse)
    learned = [value for part in parts if part is not None for value in part.parameters()]
    return [value for value in learned + only if value.requires_grad]


def _check_stages(model: Model, recipe: Recipe) -> None:
    """`ValueError` if something would stay as it was made."""
    if recipe.representation is not None:
        return
    if any(value.requires_grad for value in model.encoder.parameters()) or model.inverse is not None:
        raise ValueError(
            "representation must be given unless perception is frozen, without a head, and recovered is "
            f"'none'; got None with {type(model.config.perception).__name__} and "
            f"recovered={model.config.recovered!r}. Give Representation(...) or Sketched(...)."
        )
    if recipe.prediction is None:
        raise ValueError("a recipe must train its predictors; got representation=None and prediction=None.")


def _fingerprint(store: EpisodeStore, recipe: Recipe, seed: int) -> str:
    settings = {
        "recipe": to_dict(recipe) | {"configurator": None},
        "seed": seed,
        "frames": store.num_frames,
        "episodes": len(store),
        "world": store.schema.world,
        "source": store.schema.source,
        "checksum": store.checksum,
    }
    return hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode()).hexdigest()
