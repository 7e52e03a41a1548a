"""A guardrail learned from examples that someone marked."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from telos.cost import LearnedGuardrail, Readout
from telos.model import Model
from telos.types import Observation

_FEWEST = 10


def learn_guardrail(
    model: Model,
    dangerous: Observation | np.ndarray,
    safe: Observation | np.ndarray,
    *,
    name: str = "danger",
    steps: int = 1000,
    heldout: float = 0.2,
    seed: int = 0,
) -> LearnedGuardrail:
    """A guardrail that keeps away from what looks like `dangerous` and not like `safe`.

    A small head on frozen states is trained to tell them apart (both sides weigh the same, however many they
    are), and scaled so that its scores over the examples have a standard deviation of 1. It sees what moves;
    what differs in the scene alone it cannot tell. Its share of errors on held-out examples is
    `guardrail.head.error`, the number of examples it was trained on `guardrail.head.labels`. How far to keep
    from its border is for `calibrate` to say: with marks as the truth (`Trial.of_marks`).

    Args:
        dangerous, safe: frames uint8 `[n, H, W, C]`, or observations with as many frames as the model sees.
        heldout: the share of either that is not trained on.

    Raises:
        ValueError: there are fewer than 10 examples of either kind.
    """
    device = next(model.parameters()).device
    states, marks = [], []
    for kind, examples in (("dangerous", dangerous), ("safe", safe)):
        seen = Observation.from_frames(examples) if isinstance(examples, np.ndarray) else examples
        if seen.batch < _FEWEST:
            raise ValueError(
                f"{kind} must be at least {_FEWEST} examples, of all the places that it looks like that; "
                f"got {seen.batch}. Mark some more."
            )
        assert seen.pixels is not None
        with torch.no_grad():
            states.append(model.moving(model.encode(Observation(seen.pixels.to(device)))))
        marks.append(torch.full((seen.batch, 1), float(kind == "dangerous"), device=device))
    generator = torch.Generator().manual_seed(seed)
    parts = [
        torch.randperm(len(some), generator=generator).split(_count(len(some), heldout)) for some in states
    ]
    train, test = (
        tuple(torch.cat([some[part[side].to(device)] for some, part in zip(each, parts, strict=True)])
              for each in (states, marks))
        for side in (0, 1)
    )  # fmt: skip
    head = Readout(states[0].shape[1], 1, name=name, unit="standard deviations").to(device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for layer in head.head.modules():
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
        _fit(head, *train, steps=steps)
    with torch.no_grad():
        error = ((head(test[0]) > 0) != (test[1] > 0)).float().mean()
    head.record(labels=len(train[0]), error=float(error))
    return LearnedGuardrail(head.eval().requires_grad_(False), name=name)


def _count(n: int, heldout: float) -> list[int]:
    kept = max(round(n * heldout), 1)
    return [n - kept, kept]


def _fit(head: Readout, states: Tensor, marks: Tensor, *, steps: int) -> None:
    """Logistic regression by full-batch AdamW, with light noise on states, which keeps the border smooth."""
    head.standardise(states, marks)
    head.value_mean.zero_()
    head.value_std.fill_(1.0)
    share = marks.mean()
    weight = torch.where(marks > 0, 0.5 / share, 0.5 / (1 - share))
    optimiser = torch.optim.AdamW(head.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        noisy = states + 0.02 * head.state_std * torch.randn_like(states)
        loss = nn.functional.binary_cross_entropy_with_logits(head(noisy), marks, weight)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        head.value_std.div_(head(states).std().clamp_min(1e-6))
