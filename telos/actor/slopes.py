"""How often the gradient of a plan's energy points the right way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from telos.actor.proposals import reach
from telos.actor.ranking import imagine, score
from telos.actor.steppers import Borders, slope_of
from telos.types import Problem


@dataclass(frozen=True)
class Slopes:
    """What `slopes` found of candidates [B, S], for steps of `lengths` [L]."""

    lengths: Tensor  # [L]: the largest change of a value, in half ranges of the action space
    counts: Tensor  # bool [B, S]: energy and slope are finite, and there is a way down within the bounds
    falls: Tensor  # bool [B, S, L]: a step of this length down the slope lowers the energy
    kept: Tensor  # [B, S, L]: the share of the fall that the slope promised; 1 where the energy is straight
    cosine: Tensor  # [B, S]: of the angle between down and towards the given plan; NaN without one
    size: Tensor  # [B, S, T]: the slope's length in each block, in energy per half range

    @property
    def share(self) -> Tensor:
        """The share of candidates that count whose energy falls, `[L]`; NaN without any."""
        return (self.falls & self.counts[..., None]).sum((0, 1)) / self.counts.sum()


def slopes(
    problem: Problem,
    actions: Tensor,
    *,
    towards: Tensor | None = None,
    lengths: Sequence[float] = (0.01, 0.03, 0.1, 0.3),
) -> Slopes:
    """Whether planning by gradient can work here: look at plans `[B, S, T, size]`, random ones for instance.

    A gradient may be exact and useless: the energy through a learned model can be so rough that a step of
    useful length ends higher (`share` falls with `lengths`); the slopes of early blocks can vanish or explode
    over the horizon (`size`; avoiding that is why arXiv 2602.00475 lifts the states); and down can lead away
    from good plans, into the corner before a wall (`cosine` near or below 0; `towards` is the best plan
    `[B, T, size]` that any planner found). Steps go down along active bounds, as those of `LBFGS` do.
    Guardrails do not count. It takes a rollout with a backward pass, and another rollout per length.

    Raises:
        ValueError: the energy is not differentiable, or `towards` has a wrong shape.
    """
    space = problem.level.action_space
    if towards is not None and towards.shape != (actions.shape[0], *actions.shape[2:]):
        raise ValueError(
            f"towards must have shape [B, T, size] = {[actions.shape[0], *actions.shape[2:]]}; got "
            f"{list(towards.shape)}."
        )
    half = reach(space, actions).repeat(actions.shape[2])
    with torch.enable_grad():
        leaf = space.project(actions.detach()).requires_grad_()
        energy = score(problem, imagine(problem, leaf))[0].energy
        (slope,) = slope_of(energy, leaf)
    with torch.no_grad():
        energy, points, slope = energy.detach(), leaf.detach(), slope.flatten(2) * half
        down = Borders(space, points, slope, half).along(-slope)
        steepest = down.abs().amax(-1, keepdim=True)
        falls, kept = [], []
        for length in lengths:
            way = length * down / steepest.clamp_min(1e-30) * half
            there = space.project(points + way.unflatten(-1, points.shape[2:]))
            promised = (slope * _units(there - points, half)).sum(-1)
            change = score(problem, imagine(problem, there))[0].energy - energy
            falls.append(change < 0)
            kept.append(change / promised)
        cosine = torch.full_like(energy, torch.nan)
        if towards is not None:
            ahead = _units(towards[:, None] - points, half)
            cosine = torch.nn.functional.cosine_similarity(down, ahead, dim=-1)
        return Slopes(
            torch.tensor(lengths, dtype=energy.dtype, device=energy.device),
            energy.isfinite() & (steepest[..., 0] > 0),
            torch.stack(falls, -1),
            torch.stack(kept, -1),
            cosine,
            torch.linalg.vector_norm(slope.unflatten(-1, points.shape[2:]), dim=-1),
        )


def _units(change: Tensor, half: Tensor) -> Tensor:
    """A change of actions `[B, S, T, size]` in half ranges `[B, S, N]`."""
    return torch.where(half > 0, change.flatten(2) / half.clamp_min(1e-30), 0)
