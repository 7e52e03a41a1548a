"""Where and how training computes: device, how weights are held, and how much of a batch at once."""

from __future__ import annotations

import copy
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from telos.errors import UnknownName
from telos.nn import ConditionedBlock, TransformerBlock
from telos.perception import PretrainedEncoder

Step = Callable[[torch.Generator, int], tuple[Tensor, dict[str, float | Tensor]]]
"""One training step's loss and what is worth recording: given the generator and the step's number.

With several processes each gives its part: what is meant is the mean over processes, of both.
"""

Sharding = Literal["auto", "none", "full"]
Device = Literal["auto", "cpu", "cuda"]

SHARDED_FROM = 10_000_000
"""From so many trained parameters on "auto" shards them, on GPUs, where each process has its own memory."""


@dataclass(frozen=True)
class Compute:
    """Where and how training computes. What it computes is in the recipe, and does not change with this.

    Args:
        device: "auto" is a GPU where there is one; with several processes each takes the one of its number.
        sharding: with several processes, whether each holds all weights (`DistributedDataParallel`, "none"),
            or in LeWM's stage (`Sketched`) a part of them, of gradients and of the optimiser's averages
            (FSDP2's `fully_shard`, "full"). On GPUs "auto" shards from 10 million trained parameters on.
        micro_batches: the encoder takes a batch in so many parts, and what it computed is not kept: it is
            computed again, part by part, when gradients are due. The loss is that of the whole batch.
    """

    device: Device = "auto"
    sharding: Sharding = "auto"
    micro_batches: int = 1

    def __post_init__(self) -> None:
        if self.micro_batches < 1:
            raise ValueError(f"micro_batches must be at least 1; got {self.micro_batches}.")
        for name, value, known in (
            ("device", self.device, get_args(Device)),
            ("sharding", self.sharding, get_args(Sharding)),
        ):
            if value not in known:
                raise UnknownName(name, value, known)
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "device must be there; got 'cuda', and torch sees no GPU. Give 'cpu', or install a torch for "
                "this GPU's driver."
            )

    def place(self) -> torch.device:
        """The device of this process."""
        if self.device == "cpu" or not torch.cuda.is_available():
            return torch.device("cpu")
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")) % torch.cuda.device_count())

    def shards(self, trained: Sequence[nn.Parameter], processes: int) -> bool:
        """Whether these parameters are to be sharded over so many processes."""
        if processes == 1 or self.sharding == "none":
            return False
        large = sum(value.numel() for value in trained) >= SHARDED_FROM
        return self.sharding == "full" or (large and self.place().type == "cuda")


class Replicated(nn.Module):
    """A step whose gradients are averaged over processes: every process holds all weights."""

    def __init__(self, step: Step, trained: Sequence[nn.Parameter], *, constant: bool = True) -> None:
        """Of `trained` each step uses the same (`constant`), or some may join later, which takes longer."""
        super().__init__()
        # A module of nothing but what is trained: what is frozen, or comes later, needs no gradient.
        wrapped = _Step(step)
        wrapped.trained = nn.ParameterList(trained)
        # What no process uses keeps no gradient, as alone.
        self.parallel = DistributedDataParallel(
            wrapped, static_graph=constant, find_unused_parameters=not constant
        )

    def forward(self, generator: torch.Generator, number: int) -> tuple[Tensor, dict[str, Any]]:
        """The step's loss, and what it records."""
        return self.parallel(generator, number)


class _Step(nn.Module):
    def __init__(self, step: Step, module: nn.Module | None = None) -> None:
        super().__init__()
        self.trained: nn.Module | None = module
        self._step = step

    def forward(self, generator: torch.Generator, number: int) -> tuple[Tensor, dict[str, Any]]:
        return self._step(generator, number)


def sharded(
    step: Step, module: nn.Module, trained: Sequence[nn.Parameter], device: torch.device, processes: int
) -> nn.Module:
    """A step whose weights are spread over processes, and gathered block by block as they are needed.

    The parts of `module` in which something is trained are changed, for good: their parameters become
    DTensors, and they may only be used inside the step.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method

    mesh = init_device_mesh(device.type, (processes,))
    wanted = {id(value) for value in trained}
    used = nn.ModuleList(
        part for part in module.children() if any(id(value) in wanted for value in part.parameters())
    )
    for value in used.parameters():
        value.data = value.data.contiguous()  # sharding knows no other layout
    networks = [part for part in used.modules() if isinstance(part, PretrainedEncoder)]
    borrowed = {id(block) for network in networks for block in network.blocks()}
    for part in used.modules():
        if isinstance(part, TransformerBlock | ConditionedBlock) or id(part) in borrowed:
            fully_shard(part, mesh=mesh)
        if isinstance(part, ConditionedBlock):
            register_fsdp_forward_method(part, "modulations")
    joint = _Step(step, used)
    fully_shard(joint, mesh=mesh)
    return joint


@contextmanager
def unworried() -> Iterator[None]:
    """Without two of torch's remarks that ask for nothing: on layouts of convolutions, and on views."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        warnings.filterwarnings("ignore", "FSDP2-wrapped module .* returned a view tensor")
        yield


def spare(module: nn.Module) -> nn.Module:
    """A copy on the CPU, to be filled with what the sharded original has learned."""
    where = next(module.parameters()).device
    copied = copy.deepcopy(module.cpu())
    module.to(where)
    return copied


def whole(value: Tensor) -> Tensor:
    """A tensor on the CPU with all of its parts. Every process must call it for the same tensors in turn."""
    from torch.distributed.tensor import DTensor

    return (value.full_tensor() if isinstance(value, DTensor) else value).detach().cpu().contiguous()


def parted_like(value: Tensor, parameter: Tensor) -> Tensor:
    """A whole tensor as `parameter` is: in its memory layout, and of it the part that this process holds."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if value.shape != parameter.shape:
        return value
    if not isinstance(parameter, DTensor):
        return torch.empty_like(parameter).copy_(value)  # the fused optimiser counts on the layout
    return distribute_tensor(value.to(parameter.device), parameter.device_mesh, parameter.placements)
