"""The processes that train together: who reads which rows, and how they end together."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed

from telos.errors import TrainingError

T = TypeVar("T")


class Processes:
    """The processes of torch's default group, or this one alone where there is none.

    Every method is called by all of them, equally often and in the same order; alone it costs nothing.
    Its messages are small and on the CPU: a group for GPUs needs gloo beside nccl, as `joined` has it.
    """

    def __init__(self) -> None:
        several = distributed.is_available() and distributed.is_initialized()
        self.rank = distributed.get_rank() if several else 0
        self.count = distributed.get_world_size() if several else 1
        self._ended_together = False

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and reports."""
        return self.rank == 0

    def rows(self, batch: int) -> slice:
        """The rows of a batch that are this process's; its slices follow each other and leave none out.

        `ValueError` if the batch has fewer rows than there are processes.
        """
        if batch < self.count:
            raise ValueError(
                f"a batch must have a row for each of the {self.count} processes; got {batch}. "
                "Raise the batch, or start fewer processes."
            )
        return slice(self.rank * batch // self.count, (self.rank + 1) * batch // self.count)

    def share(self, batch: int) -> float:
        """What the mean over this process's rows weighs, for the mean over processes to be that of the batch.

        1 where slices are equal.
        """
        mine = self.rows(batch)
        return (mine.stop - mine.start) * self.count / batch

    def check_batch(self, name: str, batch: int) -> None:
        """`ValueError` unless every process gets as many rows, as losses that compare samples need."""
        if batch % self.count:
            raise ValueError(
                f"{name} is of all processes together and must be a multiple of their number, {self.count}; "
                f"got {batch}. Change the batch, or the number of processes."
            )

    def mean(self, values: Mapping[str, float]) -> dict[str, float]:
        """The mean over processes of each value; all have the same names."""
        if self.count == 1:
            return dict(values)
        joint = torch.tensor(list(values.values()), dtype=torch.float64)
        distributed.all_reduce(joint)
        return dict(zip(values, (joint / self.count).tolist(), strict=True))

    def any(self, *flags: bool) -> list[bool]:
        """For each flag, whether it is raised in any process."""
        if self.count == 1:
            return list(flags)
        joint = torch.tensor(flags, dtype=torch.uint8)
        distributed.all_reduce(joint, distributed.ReduceOp.MAX)
        return joint.bool().tolist()

    def all_of(self, value: T) -> list[T]:
        """The values of all processes, in their order. Sent by pickle, from process to process."""
        if self.count == 1:
            return [value]
        values: list[Any] = [None] * self.count
        distributed.all_gather_object(values, value)
        return values

    def of_first(self, value: T) -> T:
        """The first process's value."""
        if self.count == 1:
            return value
        values: list[Any] = [value if self.first else None]
        distributed.broadcast_object_list(values, src=0)
        return values[0]

    def agree(self, error: Exception | None = None) -> None:
        """Go on if no process has an error; otherwise all raise: those that have one their own.

        Others raise `TrainingError` with the message of the first that has one.
        """
        try:
            self._agree(error)
        finally:
            del error  # which knows this frame

    def _agree(self, error: Exception | None) -> None:
        if self.count > 1:
            said = self.all_of(None if error is None else str(error))
            failed = [rank for rank, message in enumerate(said) if message is not None]
            if failed:
                self._ended_together = True
                if error is None:
                    raise TrainingError(f"process {failed[0]} of {self.count} stopped: {said[failed[0]]}")
        if error is not None:
            try:
                raise error
            finally:
                del error

    def end_together(self) -> None:
        """What is raised next is raised by every process, so that nobody waits for this one."""
        self._ended_together = True

    @contextmanager
    def waiting_for_none(self) -> Iterator[None]:
        """An error inside the block that only this process has ends the others too, instead of a hang.

        Its connections are closed, at which those that wait for it raise `TrainingError`.
        """
        try:
            yield
        except BaseException as error:
            if self.count > 1 and not self._ended_together:
                if distributed.get_backend() == "gloo":
                    distributed.destroy_process_group()
                if _left_alone(error):
                    raise TrainingError(
                        f"another of the {self.count} processes stopped, so process {self.rank} stops too; "
                        "its message says why. The last save is unchanged."
                    ) from error
            raise

    @contextmanager
    def interruptible(self) -> Iterator[list[bool]]:
        """What is yielded is not empty once Ctrl-C was pressed: processes then stop together, after a step.

        A second one stops a process that is alone at once. In a thread, or where something else handles
        SIGINT, that stays as it is.
        """
        asked: list[bool] = []
        ours = threading.current_thread() is threading.main_thread()
        if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield asked
            return

        def ask(*_: object) -> None:
            if asked and self.count == 1:
                raise KeyboardInterrupt
            asked.append(True)

        signal.signal(signal.SIGINT, ask)
        try:
            yield asked
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def exchanged(self, part: Tensor) -> Tensor:
        """The rows of all processes, one after another; their numbers may differ. No gradient passes."""
        return part if self.count == 1 else torch.cat(self.all_of(part.cpu())).to(part.device)


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """The group that `torchrun` started this process in, for as long as the block runs; alone without it."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2 or distributed.is_initialized():
        yield Processes()
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes()
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def _left_alone(error: BaseException) -> bool:
    """Whether an error says that another process is gone."""
    if isinstance(error, distributed.DistError):
        return True
    return isinstance(error, RuntimeError) and any(
        sign in str(error) for sign in ("gloo/transport", "Connection closed by peer", "Connection reset")
    )
