"""Training episodes as the frozen encoder sees them, in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from telos.data import EpisodeStore
from telos.errors import TrainingError
from telos.model import Model
from telos.progress import Progress

SCENES = 2
"""How many frames per episode the scene is read from; a window takes one of them at random."""


class Latents:
    """What moves in every training frame, a few scenes per episode, and windows of them."""

    def __init__(self, model: Model, store: EpisodeStore, length: int, progress: Progress) -> None:
        look = model.config.look
        self.length = length  # environment steps
        moving, actions, starts, scenes, owner = [], [], [], [], []
        episodes = store.split()[0]
        row = 0
        for number, episode in enumerate(episodes):
            if store.lengths[episode] < look + length:
                continue
            record = store[int(episode)]
            states = encode_episode(model, record.frames)
            moving.append(model.moving(states))
            shown = torch.linspace(0, len(states) - 1, SCENES + 2).round().long()[1:-1]
            if (scene := model.scene(states[shown])) is not None:
                scenes.append(scene.half())
            moves = record.actions[look - 1 :]
            actions.append(torch.from_numpy(np.concatenate([moves, moves[:1] * 0])))
            starts.append(torch.arange(row, row + len(states) - length))
            owner.append(torch.full((len(states) - length,), len(starts) - 1))
            row += len(states)
            progress("encode", number + 1, len(episodes))
        if not starts:
            raise TrainingError(
                f"no episode is as long as the predictor's horizon, {length} environment steps. "
                "Collect longer episodes or lower prediction.horizon."
            )
        self.moving, self.actions, self.starts = torch.cat(moving), torch.cat(actions), torch.cat(starts)
        self.owner = torch.cat(owner)
        self.scenes = torch.stack(scenes) if scenes else None

    def sample(self, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor | None]:
        """What moves `[batch, length + 1, D]`, actions `[batch, length, A]`, scenes `[batch, C, h, w]`."""
        window = torch.randint(len(self.starts), (batch,), generator=generator)
        start = self.starts[window][:, None]
        moving = self.moving[start + torch.arange(self.length + 1)]
        actions = self.actions[start + torch.arange(self.length)]
        if self.scenes is None:
            return moving, actions, None
        shown = torch.randint(self.scenes.shape[1], (batch,), generator=generator)
        return moving, actions, self.scenes[self.owner[window], shown].float()


@torch.no_grad()
def encode_episode(model: Model, frames: np.ndarray) -> Tensor:
    """The perceived states `[T+1 - (look - 1), D + scene]` of an episode's frames uint8 `[T+1, H, W, C]`."""
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)
    return model.encode_video(pixels.to(next(model.parameters()).device))
