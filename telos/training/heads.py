"""What is trained on frozen states: readouts on few labels, and the decoder for looking."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from telos.data import EpisodeStore, labelled_frames
from telos.model import Model
from telos.progress import Progress, silent
from telos.training.batches import BlockWindows
from telos.training.compute import Step
from telos.training.config import Heads, Optimisation
from telos.training.distributed import Processes
from telos.types import Observation

DECODER_FRAMES = 5  # of a window
HELD_OUT_LABELS = 500


def fit_readouts(
    model: Model,
    store: EpisodeStore,
    heads: Heads | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Train a readout for each reading of the store, on `heads.labels` labelled frames.

    Labels are drawn from training episodes; each readout's error is measured on frames of the held-out
    ones, which nothing is chosen by. With fewer frames than labels, all are used. The model's encoder
    does not change. The error is NaN where no episode is held out.
    """
    if not store.schema.readings:
        return
    heads = heads or Heads()
    generator = torch.Generator().manual_seed(seed)
    train, heldout = store.split()
    device = next(model.parameters()).device
    states, values = _labelled(model, store, heads.labels, train, generator)
    tests = _labelled(model, store, HELD_OUT_LABELS, heldout, generator) if len(heldout) else None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in store.schema.readings:
            readout = model.add_readout(name)
            readout.standardise(states, values[name].to(device))
            _fit(readout, states, values[name].to(device), heads.readout_steps)
            error = math.nan
            if tests is not None:
                with torch.no_grad():
                    error = float((readout(tests[0]) - tests[1][name].to(device)).norm(dim=-1).mean())
            readout.record(labels=len(states), error=error)
            progress("readouts", len(model.readouts), len(store.schema.readings), error=error)


def fit_decoder(
    model: Model, store: EpisodeStore, optimisation: Optimisation | None = None, *, seed: int = 0,
    progress: Progress = silent,
) -> None:  # fmt: skip
    """Train a decoder from frozen states to frames; the model's encoder does not change."""
    optimisation = optimisation or Heads().decoder
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        decoder = model.add_decoder()
    step = decoder_step(model, store, optimisation.batch)
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=optimisation.learning_rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, optimisation.steps)
    generator = torch.Generator().manual_seed(seed)
    for number in range(optimisation.steps):
        loss, _ = step(generator, number)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), optimisation.clip)
        optimiser.step()
        schedule.step()
        progress("decoder", number + 1, optimisation.steps, loss=float(loss.detach()))


def decoder_windows(batch: int) -> int:
    """How many windows hold a batch of the decoder's frames."""
    return -(-batch // DECODER_FRAMES)


def decoder_step(model: Model, store: EpisodeStore, batch: int, processes: Processes | None = None) -> Step:
    """A training step of the decoder: mean squared error, the parts of a frame that move counting more.

    Most pixels of most worlds hardly change, and a plain mean would draw those alone. Each pixel is
    weighed by how far it is from its window's mean, which is largest where something moves. Several
    processes draw some of the windows each, not always equally many; what they find is weighed by that.
    """
    config = model.config
    count, processes = decoder_windows(batch), processes or Processes()
    rows, share = processes.rows(count), processes.share(count)
    windows = BlockWindows(
        store,
        horizon=DECODER_FRAMES - 1,
        block=config.action_space.block,
        frames=config.frames,
        spacing=config.spacing,
        episodes=store.split()[0],
    )
    colours = config.frame_shape[2]

    def step(generator: torch.Generator, number: int) -> tuple[Tensor, dict[str, float | Tensor]]:
        assert model.decoder is not None
        pixels, _ = windows.sample(count, generator, rows)
        pixels = pixels.to(next(model.parameters()).device)
        with model.precision():
            with torch.no_grad():
                moving, scene = model.encoder(pixels.flatten(0, 1))
                if (
                    scene is not None
                ):  # of another frame, or what moves would be drawn where the scene shows it
                    later = int(torch.randint(1, pixels.shape[1], (), generator=generator))
                    scene = scene.unflatten(0, pixels.shape[:2]).roll(later, 1).flatten(0, 1)
            drawn = model.decoder(moving, scene).float()
        target = pixels[:, :, -colours:].float() / 255
        moving = (target - target.mean(1, keepdim=True)).abs().amax(2, keepdim=True)
        weight = (1 + 20 * moving).flatten(0, 1)
        error = (drawn - target.flatten(0, 1)).square()
        return share * (weight * error).mean(), {"decoder_error": share * error.detach().mean()}

    return step


def _labelled(
    model: Model, store: EpisodeStore, count: int, episodes: np.ndarray, generator: torch.Generator
) -> tuple[Tensor, dict[str, Tensor]]:
    """States `[n, D]` and readings of `count` labelled moments, or of all of them if there are fewer."""
    look = model.config
    drawn = labelled_frames(
        store, count, generator, frames=look.frames, stride=look.spacing, episodes=episodes
    )
    with torch.no_grad():
        states = model.moving(
            model.encode(Observation(pixels=drawn.pixels.to(next(model.parameters()).device)))
        )
    return states, dict(drawn.readings)


def _fit(readout: torch.nn.Module, states: Tensor, values: Tensor, steps: int) -> None:
    """Full-batch AdamW with light noise on the states, which keeps a head of few labels smooth."""
    optimiser = torch.optim.AdamW(readout.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    spread = states.std(0, keepdim=True)
    for _ in range(steps):
        noisy = states + 0.02 * spread * torch.randn_like(states)
        error = (readout(noisy) - values) / readout.value_std
        loss = error.square().mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
