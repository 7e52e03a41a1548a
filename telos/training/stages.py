"""What one update of a stage is: a batch, and its loss."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from telos import ssl
from telos.data import EpisodeStore
from telos.errors import TrainingError
from telos.model import Model
from telos.progress import Progress
from telos.training.batches import BlockWindows
from telos.training.compute import Step
from telos.training.config import Prediction, Representation, Sketched
from telos.training.distributed import Processes
from telos.training.encoded import Encoded
from telos.training.latents import Latents
from telos.training.representation import RepresentationLoss
from telos.training.sketched import sketched_loss
from telos.world_model import GlimpsePredictor, HistoryPredictor, Predictor

SUSPECTED = 2  # readings in a row that a collapse must show in: batches differ
INDICATORS_EVERY = 40  # a multiple of how often curves are written, or most would not be


def representation_step(
    learner: nn.Module,
    model: Model,
    store: EpisodeStore,
    settings: Representation | Sketched,
    processes: Processes,
    *,
    allow_collapse: bool,
) -> Step:
    """Train encoder and predictor on windows of pixels; `learner` is the model, or holds it (`settings`).

    What an update raises: `TrainingError` where the representation has collapsed, unless that is allowed.
    """
    config = model.config
    windows = BlockWindows(
        store,
        horizon=settings.horizon,
        block=config.action_space.block,
        frames=config.frames,
        spacing=config.spacing,
        episodes=store.split()[0],
    )
    batch, rows = settings.optimisation.batch, processes.rows(settings.optimisation.batch)
    device = next(model.parameters()).device
    suspected = 0  # readings in a row

    def step(generator: torch.Generator, number: int) -> tuple[Tensor, dict[str, float | Tensor]]:
        nonlocal suspected
        pixels, actions = (part.to(device) for part in windows.sample(batch, generator, rows))
        if isinstance(settings, Sketched):
            loss, terms, states = sketched_loss(model, pixels, actions, settings, generator)
        else:
            shown = torch.randint(settings.horizon + 1, (batch,), generator=generator)[rows].to(device)
            done = number / settings.optimisation.steps
            loss, terms, states = learner(pixels, actions, scene_at=shown, generator=generator, progress=done)
        values: dict[str, float | Tensor] = {key: term.detach() for key, term in terms.items()}
        if (number + 1) % INDICATORS_EVERY == 0 or number + 1 == settings.optimisation.steps:
            values |= ssl.indicators(ssl.gather(states))
            if isinstance(learner, RepresentationLoss) and learner.criterion.embedding is not None:
                values["embedding_spread"] = ssl.spread(learner.criterion.embedding)
            suspected = suspected + 1 if has_collapsed(values) else 0
            late = number + 1 > settings.optimisation.steps // 3
            if suspected >= SUSPECTED and late and not allow_collapse:
                raise _collapse(values, number + 1)
        return loss, values

    return step


def has_collapsed(values: Mapping[str, float | Tensor]) -> bool:
    """Whether the indicators of `telos.ssl.indicators` are those of a representation that says nothing.

    Keypoints vary by 0.01 before anything is learned, and methods that leave the scale of states open
    may keep them there; those that have collapsed vary by 0.001 and less. Where a head's embeddings collapse
    ("embedding_spread"), what is asked beside the method may still hold the states.
    """
    return float(values["std"]) < 0.002 or float(values["within_episode_variance"]) < 0.002


def _collapse(values: Mapping[str, float | Tensor], step: int) -> TrainingError:
    std, within = float(values["std"]), float(values["within_episode_variance"])
    return TrainingError(
        f"the representation has collapsed at step {step}: standard deviation {std:.4f}, share of "
        f"variance within episodes {within:.4f} (a slow-feature collapse if only this one is near 0). "
        "Raise the weight of inverse dynamics or of what keeps states apart, choose another method, or "
        "allow collapse to go on."
    )


def prediction_step(
    model: Model,
    store: EpisodeStore,
    settings: Prediction,
    progress: Progress,
    processes: Processes | None = None,
    keep: Encoded | None = None,
) -> Step:
    """Train the predictors alone on cached states: no pixel is encoded twice, so windows can be long."""
    _check_horizon(model.predictor, settings)
    block, batch = model.config.action_space.block, settings.optimisation.batch
    processes = processes or Processes()
    rows, length = processes.rows(batch), settings.horizon * block
    device = next(model.parameters()).device
    latents = Latents(model, store, length, progress, processes=processes, device=device, keep=keep)
    most = settings.noise * latents.moving.std(0).mean().double()  # whatever scale a method gives states

    def drawn(like: Tensor, generator: torch.Generator) -> Tensor:
        """Normal noise like this process's rows `[B, ...]`, of what is drawn for the batch."""
        return torch.randn(batch, *like.shape[1:], generator=generator)[rows].to(like.device)

    def step(generator: torch.Generator, number: int) -> tuple[Tensor, dict[str, float | Tensor]]:
        losses, values = [], dict[str, float | Tensor]()
        for predictor in model.predictors:
            states, actions, scene = latents.sample(batch, generator, rows)
            if number + 1 == settings.optimisation.steps and not values:  # once: these states do not change
                values = {**ssl.indicators(ssl.gather(states[:, ::block]))}
            noise = most * torch.rand(batch, 1, 1, generator=generator)[rows].to(states.device)
            if isinstance(predictor, HistoryPredictor):
                seen = states[:, ::block]
                told = seen[:, :-1] + noise * drawn(seen[:, :-1], generator)
                losses.append(_told(model, predictor, told, seen, actions))
                continue
            by_steps = isinstance(predictor, GlimpsePredictor)  # of the environment; others go by blocks
            advance, stride = (predictor.step, 1) if by_steps else (predictor, block)
            blocks, observed = actions.unflatten(1, (-1, stride)).flatten(2), states[:, stride::stride]
            now, imagined = states[:, :1], []
            for time in range(blocks.shape[1]):
                disturbed = now + noise * drawn(now, generator)
                with model.precision():
                    now = advance(disturbed, blocks[:, time, None], scene)
                imagined.append(now)
            losses.append(ssl.prediction_loss(torch.cat(imagined, dim=1), observed))
        total = torch.stack(losses).sum()
        return total, {"long_prediction": total.detach() / len(losses), **values}

    return step


def _check_horizon(predictor: Predictor, settings: Prediction) -> None:
    if isinstance(predictor, HistoryPredictor) and predictor.settings.length < settings.horizon:
        raise ValueError(
            f"prediction.horizon must be at most the length of the history, {predictor.settings.length}; got "
            f"{settings.horizon}. Give History(length={settings.horizon})."
        )


def _told(model: Model, predictor: HistoryPredictor, told: Tensor, states: Tensor, actions: Tensor) -> Tensor:
    """How badly each of `states` `[B, T+1, D]`, a block apart, is predicted from those `told`; a scalar."""
    with model.precision():
        predicted = predictor(told, actions.unflatten(1, (told.shape[1], -1)).flatten(2)).float()
    return ssl.prediction_loss(predicted, states[:, 1:])
