"""The reactive policy as a planner, and as what another planner proposes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from telos.actor.gradient import Gradient
from telos.actor.noise import Knots
from telos.actor.proposals import Belief, Mixture
from telos.actor.ranking import imagine, imagine_on, require_resume
from telos.actor.sampling import Evolution, RandomShooting
from telos.types import Plan, Problem


@dataclass(frozen=True)
class Reflex:
    """What the problem's policy does, imagined step by step and scored: a plan without a search.

    The first of the `candidates` is what it does; in the others, and in all those of later iterations, it is
    disturbed on its way and reacts to that, as in POPLIN-A (arXiv 1906.08649). The warm start, or resting,
    and the alternatives are scored beside them. Imagining what a policy does costs one evaluation per block
    and future, scoring as much again.
    """

    candidates: int = 1
    spread: float = 0.5  # of the largest disturbances, in half ranges

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where the problem has no policy or the level cannot `resume`."""
        if problem.policy is None:
            raise ValueError(
                "Reflex needs a policy in the problem: a model with a reflex (telos.fit_reflex), and a cost "
                "with one goal state (Agent.reach). Use Guided, which does without, or another planner."
            )
        others = 1 if problem.alternatives is None else 1 + problem.alternatives.shape[1]
        shooting = RandomShooting(candidates=others + self.candidates)
        return Guided(shooting, share=1.0, spread=self.spread)(problem)


@dataclass(frozen=True)
class Guided:
    """A planner, a `share` of whose fresh candidates is what the problem's policy does (see `Reflex`).

    Where the problem has no policy it is the planner by itself.
    """

    planner: Evolution | RandomShooting | Gradient = field(default_factory=Evolution)
    share: float = 0.5
    spread: float = 0.5  # of the largest disturbances, in half ranges

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ValueError(f"share must be above 0 and at most 1; got {self.share}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where there is a policy and the level cannot `resume`."""
        if problem.policy is None:
            return self.planner(problem)
        reactions = _Reactions(problem, self.spread)
        explore = Mixture(((self.share, reactions), (1 - self.share, self.planner.explore)))
        plan = replace(self.planner, explore=explore)(problem)
        futures = plan.trajectory.states.shape[2]
        return replace(plan, evaluations=plan.evaluations + futures * reactions.rows)


def react(problem: Problem, disturbances: Tensor) -> Tensor:
    """What the problem's policy does when disturbed: `[B, S, T, size]` to actions `[B, S, T, size]`.

    Each disturbance is added to what it does in that block; it reacts to what then comes. Costs one
    evaluation for the present, and one per candidate and block but the last, for every imagined future.

    Raises:
        ValueError: the level cannot `resume`, or the policy returned a wrong shape.
    """
    space = problem.level.action_space
    assert problem.policy is not None
    require_resume(problem, "a policy")
    rest = space.project(0 * disturbances[:, :1, :1])
    now = imagine(problem, rest).states[:, :, :, 0].repeat_interleave(disturbances.shape[1], 1)
    actions: list[Tensor] = []
    for disturbance in disturbances.unbind(2):
        if actions:
            now = imagine_on(problem, now, actions[-1][:, :, None]).states[:, :, :, 1]
        action = problem.policy(now)
        if action.shape != disturbance.shape:
            raise ValueError(
                f"a policy must return actions [B, S, size] = {list(disturbance.shape)} for states "
                f"[B, S, K, *state] = {list(now.shape)}; got {list(action.shape)}."
            )
        actions.append(space.project(space.project(action) + disturbance))
    return torch.stack(actions, 2)


class _Reactions:
    """A proposal: what a problem's policy does when disturbed; the first candidate of all is undisturbed."""

    def __init__(self, problem: Problem, spread: float) -> None:
        self.rows = 0  # evaluations per problem and future
        self._problem, self._spread = problem, spread

    def __call__(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Candidates `[B, count, T, size]`: noise that changes slowly, each of a size of its own."""
        B, _, T, size = belief.mean.shape
        like = {"generator": generator, "device": belief.mean.device, "dtype": belief.mean.dtype}
        mixing = Knots(max(2, round(T / 2.5) + 1))(T).to(belief.mean)
        noise = mixing @ torch.randn(B, count, mixing.shape[1], size, **like)
        gain = self._spread * torch.rand(B, count, 1, 1, **like)
        if not self.rows:
            gain = torch.cat([0 * gain[:, :1], gain[:, 1:]], 1)
        self.rows += 1 + count * (T - 1)
        return react(self._problem, gain * belief.reach * noise)
