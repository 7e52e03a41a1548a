"""DINO: sort the future into the classes that a slow average of oneself sorts it into."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from telos import ssl
from telos.model import Model
from telos.training.methods.method import Head, Seen
from telos.training.methods.teachers import TaughtCriterion


@dataclass(frozen=True)
class DINO:
    """DINO (arXiv 2104.14294): a teacher's scores, centred and sharpened, without labels."""

    head: Head = field(default_factory=lambda: Head(size=64))
    classes: int = 256
    weight: float = 1.0
    momentum: float = 0.97  # of the teacher at first; 1 at the end
    temperature: float = 0.1
    teacher_temperature: float = 0.04
    centre_momentum: float = 0.9

    def build(self, model: Model) -> DINOCriterion:
        """A new criterion for a model."""
        return DINOCriterion(self, model)


class DINOCriterion(TaughtCriterion):
    """The term of `DINO`, its scores, teacher and centre."""

    centre: Tensor

    def __init__(self, settings: DINO, model: Model) -> None:
        scores = _Scores(settings.head.build(model.config.state_size), settings.head.size, settings.classes)
        super().__init__({"cross_entropy": settings.weight}, model, scores, momentum=settings.momentum)
        self.settings = settings
        self.register_buffer("centre", torch.zeros(settings.classes))

    def forward(self, model: Model, seen: Seen, generator: torch.Generator) -> dict[str, Tensor]:
        """The cross-entropy of the student's scores."""
        taught, settings = self.taught(model, seen), self.settings
        self.noted(((taught - self.centre) / settings.teacher_temperature).softmax(-1))
        found = ssl.dino_loss(
            self.told(seen),
            taught,
            self.centre,
            temperature=settings.temperature,
            teacher_temperature=settings.teacher_temperature,
        )
        self.centre.copy_(ssl.next_centre(self.centre, taught, momentum=settings.centre_momentum))
        return {"cross_entropy": found}


class _Scores(nn.Module):
    """An embedding's cosines `[..., classes]` with learned prototypes."""

    def __init__(self, head: nn.Module, size: int, classes: int) -> None:
        super().__init__()
        self.head = head
        self.prototypes = nn.Parameter(torch.randn(classes, size))

    def forward(self, states: Tensor) -> Tensor:
        return normalize(self.head(states), dim=-1) @ normalize(self.prototypes, dim=-1).T
