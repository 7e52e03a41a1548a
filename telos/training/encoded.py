"""What an encoder said of episodes, kept in a run's folder for as long as predictors learn from it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from telos.errors import CheckpointError
from telos.files import atomic_path

Episode = Mapping[str, Tensor]


class Encoded:
    """The tensors of one episode after another, written every now and then: a resumed run reads them.

    Encoding that is done sooner than a write is due leaves nothing on the disk.

    Args:
        folder: for parts of some episodes each; it is made with the first.
        of: says what the tensors follow from. Those of anything else are deleted.
        every: CPU seconds of encoding after which what is new is written.
    """

    def __init__(self, folder: Path, *, of: str, every: float) -> None:
        self.folder, self.of, self.every = folder, of, every
        self._new: list[Episode] = []
        self._first = 0  # of the new ones
        self._written = time.process_time()

    def read(self) -> list[Episode]:
        """The episodes that are there, from the first on; those to be added follow them."""
        found: list[Episode] = []
        while self._part(len(found)).exists() and (part := self._read(self._part(len(found)))):
            found.extend(part)
        if not found:
            self.delete()
        self._first, self._written = len(found), time.process_time()
        return found

    def add(self, episode: Episode) -> None:
        """One more. `CheckpointError` if a write was due and the disk is full."""
        self._new.append({key: value.cpu() for key, value in episode.items()})
        if time.process_time() - self._written < self.every:
            return
        tensors = {f"{n} {key}": value for n, each in enumerate(self._new) for key, value in each.items()}
        try:
            with atomic_path(self._part(self._first)) as aside:
                safetensors.torch.save_file(tensors, aside, {"of": self.of})
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"encoded episodes could not be written to {self.folder} ({error}). Free some space and run "
                "the same command again: training continues from there."
            ) from error
        self._first += len(self._new)
        self._new, self._written = [], time.process_time()

    def delete(self) -> None:
        """Remove the folder, if there is one."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _part(self, first: int) -> Path:
        """The file of the episodes from number `first` on."""
        return self.folder / f"{first:08d}.safetensors"

    def _read(self, path: Path) -> list[Episode]:
        """The episodes of a file; none if it is damaged, or of something else."""
        try:
            with safetensors.safe_open(path, "pt") as file:
                if (file.metadata() or {}).get("of") != self.of:
                    return []
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError):
            return []
        episodes: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            number, name = key.split(" ")
            episodes.setdefault(int(number), {})[name] = value
        return [episodes[number] for number in range(len(episodes))]
