"""What methods share that learn from a slow average of themselves."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from telos import ssl
from telos.model import Model
from telos.perception import Encoder
from telos.training.methods.method import Criterion, Head, Seen


class TaughtCriterion(Criterion):
    """A criterion with a teacher: a moving average of the encoder and of a head behind it.

    The student is the encoder, the world model's predictor and the head: it must say, from an earlier
    frame and the actions, what the teacher says of the frames that follow. No gradient reaches the teacher,
    and the student has the predictor, which the teacher has not: why it need not collapse, though a
    constant would be its best (BYOL, arXiv 2006.07733, section 3.2). `python -m benchmarks.collapse` shows
    what happens without each.
    """

    def __init__(
        self, weights: Mapping[str, float], model: Model, head: Head | nn.Module, *, momentum: float
    ) -> None:
        super().__init__(weights)
        if not 0 <= momentum <= 1:
            raise ValueError(f"momentum must be in 0..1; got {momentum}.")
        self.momentum = momentum
        self.head = head.build(model.config.state_size) if isinstance(head, Head) else head
        self.teacher = copy.deepcopy(model.encoder).requires_grad_(False)
        self.teacher_head = copy.deepcopy(self.head).requires_grad_(False)

    def told(self, seen: Seen) -> Tensor:
        """The head's embedding `[B, T, E]` of what was imagined, of all processes."""
        return self.head(seen.views()[0])

    @torch.no_grad()
    def taught(self, model: Model, seen: Seen) -> Tensor:
        """The teacher's embedding `[B, T, E]` of what was observed, of all processes."""
        assert isinstance(self.teacher, Encoder)
        with model.precision():
            moving = self.teacher.moving(self.teacher.features(seen.pixels.flatten(0, 1)))
        return self.noted(self.teacher_head(seen.view(moving.unflatten(0, seen.pixels.shape[:2]))))

    def after_step(self, model: Model, *, step: int, steps: int) -> None:
        """Move the teacher a little towards the student; without momentum, all the way, at every step."""
        momentum = ssl.teacher_momentum(step, steps, first=self.momentum) if self.momentum else 0.0
        ssl.update_teacher(self.teacher, model.encoder, momentum=momentum)
        ssl.update_teacher(self.teacher_head, self.head, momentum=momentum)
