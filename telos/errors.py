"""Errors that a user can act on. Each message says: what was wrong, what was found, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TelosError(Exception):
    """Base of every error that telos raises on purpose, apart from `ValueError` for wrong arguments."""


class StoreError(TelosError):
    """An episode store on disk cannot be read or written."""


class CheckpointError(TelosError):
    """A checkpoint is missing, damaged, or of another version."""


class TrainingError(TelosError):
    """Training had to stop: a loss was not finite, or the representation collapsed."""


class WorldError(TelosError):
    """A world broke its contract: a wrong shape or dtype, a missing adapter, NaN in its numbers."""


class NoTask(TelosError, ValueError):  # noqa: N818 (a world without tasks is not wrong)
    """A goal was asked of a world that sets no tasks."""


class CalibrationWarning(UserWarning):
    """A calibration does not speak of the buffer it asks for: episodes have to be run with that one."""


class DriftWarning(UserWarning):
    """What is observed is no longer what a guardrail was calibrated on."""


class FrozenFrames(UserWarning):
    """Episodes were collected beyond their end: the last part of them shows a picture that stands still."""


class UnknownName(TelosError, LookupError):  # noqa: N818 (what is wrong is the name)
    """A name that is not registered, with the near ones."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"There is no {kind} called '{name}'.{hint} Known: {', '.join(known) or 'none'}.")
