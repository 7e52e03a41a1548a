"""Learning from a teacher that is a slow average of the student: BYOL, I-JEPA and DINO."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, layer_norm, smooth_l1_loss


def byol_loss(predicted: Tensor, taught: Tensor) -> Tensor:
    """Squared distance of normalised predictions from a teacher's embeddings, both `[..., D]`; in 0..4.

    BYOL (arXiv 2006.07733, eq. 2): 2 - 2 cos. No gradient reaches the teacher.
    """
    return 2 - 2 * cosine_similarity(predicted, taught.detach(), dim=-1).mean()


def ijepa_loss(predicted: Tensor, taught: Tensor, *, beta: float = 1.0) -> Tensor:
    """Smooth absolute error of predictions from a teacher's embeddings, both `[..., D]`; a scalar.

    I-JEPA (arXiv 2301.08243): its eq. 1 is a squared error; its released code, followed here, standardises
    each of the teacher's embeddings over D (layer normalisation without weights), and takes squares below
    `beta` only. With `beta` 0 it is the absolute error of V-JEPA (2404.08471, eq. 1). No gradient reaches
    the teacher.
    """
    target = layer_norm(taught.detach(), taught.shape[-1:])
    return smooth_l1_loss(predicted, target, beta=beta)


def dino_loss(
    student: Tensor,
    taught: Tensor,
    centre: Tensor,
    *,
    temperature: float = 0.1,
    teacher_temperature: float = 0.04,
) -> Tensor:
    """Cross-entropy of a student's scores `[..., D]` from a teacher's, centred and sharpened; a scalar.

    DINO (arXiv 2104.14294, eq. 1-2), of one pair of views. A teacher that always says the same
    class is held off by `centre` `[D]`, and one that says nothing by its lower temperature: either alone
    lets the other collapse happen. No gradient reaches the teacher.
    """
    target = ((taught.detach() - centre) / teacher_temperature).softmax(-1)
    return -(target * (student / temperature).log_softmax(-1)).sum(-1).mean()


@torch.no_grad()
def next_centre(centre: Tensor, taught: Tensor, *, momentum: float = 0.9) -> Tensor:
    """The centre `[D]` after a teacher's scores `[..., D]`: a moving average (DINO, 2104.14294, eq. 4)."""
    return centre.lerp(taught.flatten(0, -2).mean(0), 1 - momentum)


def teacher_momentum(step: int, steps: int, *, first: float = 0.996) -> float:
    """How much of itself a teacher keeps at step 0..steps: from `first` to 1 along a cosine (2006.07733)."""
    if steps < 1 or not 0 <= step <= steps or not 0 <= first <= 1:
        raise ValueError(
            f"step must be in 0..steps, steps at least 1 and first in 0..1; got {step}, {steps} and {first}."
        )
    return 1 - (1 - first) * (math.cos(math.pi * step / steps) + 1) / 2


@torch.no_grad()
def update_teacher(teacher: nn.Module, student: nn.Module, *, momentum: float) -> None:
    """Move the teacher's weights towards the student's, in place.

    BYOL (arXiv 2006.07733, eq. 1): momentum * teacher + (1 - momentum) * student. Buffers, such as running
    means, become the student's.

    Raises:
        ValueError: they do not have the same weights.
    """
    mine, theirs = dict(teacher.named_parameters()), dict(student.named_parameters())
    if [(name, value.shape) for name, value in mine.items()] != [
        (name, value.shape) for name, value in theirs.items()
    ]:
        raise ValueError(
            "teacher must have the weights of student; got others. Make it by copy.deepcopy(student)."
        )
    for name, value in mine.items():
        value.lerp_(theirs[name], 1 - momentum)
    buffers = dict(student.named_buffers())
    for name, buffer in teacher.named_buffers():
        buffer.copy_(buffers[name])
