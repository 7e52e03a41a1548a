"""Training episodes as the frozen encoder sees them, in memory."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from telos.data import EpisodeStore
from telos.errors import TrainingError
from telos.model import Model
from telos.progress import Progress
from telos.training.distributed import Processes
from telos.training.encoded import Encoded, Episode

SCENES = 2
"""How many frames per episode the scene is read from; a window takes one of them at random."""


class Latents:
    """What moves in every training frame, a few scenes per episode, and windows of them.

    Several processes encode some of the episodes each, and exchange what they found.
    """

    def __init__(
        self,
        model: Model,
        store: EpisodeStore,
        length: int,
        progress: Progress,
        *,
        processes: Processes | None = None,
        device: torch.device | str = "cpu",
        keep: Encoded | None = None,
    ) -> None:
        """Encode on `device`, where the model is, and keep everything there; `keep` has it on disk too."""
        processes = processes or Processes()
        look = model.config.look
        self.length = length  # environment steps
        moving, actions, starts, scenes, owner = [], [], [], [], []
        episodes = store.split()[0]
        episodes = episodes[store.lengths[episodes] >= look + length]
        if len(episodes) < processes.count:
            raise TrainingError(
                f"no episode is as long as the predictor's horizon, {length} environment steps"
                f"{f', or too few for {processes.count} processes' if len(episodes) else ''}. "
                "Collect longer episodes or lower prediction.horizon."
            )
        episodes = episodes[processes.rows(len(episodes))]
        row, known = 0, keep.read() if keep is not None else []
        for number, episode in enumerate(episodes):
            record = store[int(episode)]
            if number < len(known):
                found = {key: value.to(device) for key, value in known[number].items()}
            else:
                found = _kept_of(model, encode_episode(model, record.frames, device))
                if keep is not None:
                    keep.add(found)
            moving.append(found["moving"])
            if "scenes" in found:
                scenes.append(found["scenes"])
            moves, count = record.actions[look - 1 :], len(found["moving"])
            actions.append(torch.from_numpy(np.concatenate([moves, moves[:1] * 0])))
            starts.append(torch.arange(row, row + count - length))
            owner.append(torch.full((count - length,), len(starts) - 1))
            row += count
            progress("encode", number + 1, len(episodes))
        self.moving = processes.exchanged(torch.cat(moving))
        self.actions = processes.exchanged(torch.cat(actions)).to(self.moving.device)
        self.scenes = processes.exchanged(torch.stack(scenes)) if scenes else None
        rows = processes.all_of((row, len(starts)))[: processes.rank]  # of the episodes before these
        first_row, first = (sum(each) for each in zip(*rows, strict=True)) if rows else (0, 0)
        self.starts = processes.exchanged(first_row + torch.cat(starts))
        self.owner = processes.exchanged(first + torch.cat(owner))

    def sample(
        self, batch: int, generator: torch.Generator, rows: slice = slice(None)
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """What moves `[B, length + 1, D]`, actions `[B, length, A]`, scenes `[B, C, h, w]`.

        They are `rows` of a batch of `batch` windows.
        """
        window = torch.randint(len(self.starts), (batch,), generator=generator)[rows]
        start = self.starts[window][:, None].to(self.moving.device)
        moving = self.moving[start + torch.arange(self.length + 1, device=start.device)]
        actions = self.actions[start + torch.arange(self.length, device=start.device)]
        if self.scenes is None:
            return moving, actions, None
        shown = torch.randint(self.scenes.shape[1], (batch,), generator=generator)[rows]
        return (
            moving,
            actions,
            self.scenes[self.owner[window].to(self.scenes.device), shown.to(self.scenes.device)].float(),
        )


def _kept_of(model: Model, states: Tensor) -> Episode:
    """What is kept of an episode's perceived states `[T', D + scene]`: what moves, and a few scenes."""
    shown = torch.linspace(0, len(states) - 1, SCENES + 2).round().long()[1:-1]
    scene = model.scene(states[shown])
    moving = model.moving(states).clone()  # and not all of the scenes with it
    return {"moving": moving} if scene is None else {"moving": moving, "scenes": scene.half()}


@torch.no_grad()
def encode_episode(model: Model, frames: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """The perceived states `[T+1 - (look - 1), D + scene]` of an episode's frames uint8 `[T+1, H, W, C]`."""
    return model.encode_video(torch.from_numpy(frames).permute(0, 3, 1, 2).to(device))
