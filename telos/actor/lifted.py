"""Planning with lifted states: states are searched for beside the actions, all steps at once."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from telos.actor.archive import Clock
from telos.actor.gradient import Descent, Lagrangian
from telos.actor.proposals import Proposal, Wander, WithMeans, reach
from telos.actor.ranking import imagine_on, require_resume, score
from telos.actor.search import start
from telos.actor.steppers import Adam, Moments, slope_of
from telos.types import Plan, Problem, Trajectory


@dataclass(frozen=True)
class Lifted:
    """Search for states and actions together, held to each other by how well the world model agrees.

    After GRASP (Psenka et al., arXiv 2602.00475, and the authors' code). The states s_1..s_T of a candidate
    are variables of their own. A *lifted* iteration imagines a block from each of them, p_t+1 = F(s_t, a_t),
    all steps in parallel, and takes a step of Adam down

        J(s) + dense * J(p) + consistency * sum_t |p_t - s_t|^2

    in states and actions, J being the energy and the guardrails' augmented Lagrangian; then noise is added to
    the states: they explore, the actions follow. No gradient goes through the model into a state, which is
    where a learned model's is brittle; it goes into actions only, over one block. So every `lift` lifted
    iterations are followed by `sync` steps of Adam on whole rollouts. Only those are scored: the first and
    the last iteration are among them, and plans are ranked and returned as in `refine`.

    Where it differs from the paper:

    - There is no goal state here, only a cost: J(s) stands for the last state that is held at the goal, and
      J(p), the problem's own energy, for the dense goal term.
    - Guardrails act on virtual states and predictions as well as on rollouts, with the same multipliers.
    - There are many starts, and virtual states begin on their rollouts, not on a line to the goal.
    - A future of an ensemble has virtual states of its own; the actions are common.
    - Lengths are in units of how far a block leads (root mean square over the first rollouts, per value of
      a state), the loss in those of `Lagrangian`; noise and the states' steps fall to zero.
    - Whole rollouts come far more often: 7 of 10 iterations here, 10 of 60 there. In Rooms more of them were
      better, and fewer worse than no lifting at all.

    A lifted iteration costs as many evaluations as a rollout of all candidates, and a backward pass through
    one block.

    Args:
        starts: S, how many candidates.
        rate: Adam's first step of the actions, in half ranges.
        state_rate: that of the states.
        noise: standard deviation of what is added to the states, per iteration.
        consistency, dense: weights in the lifted loss.
        lift, sync: iterations of either kind, in turn, beginning with `sync`.
    """

    starts: int = 16
    rate: float = 0.1
    state_rate: float = 0.1
    noise: float = 0.3
    consistency: float = 1.0
    dense: float = 1.0
    lift: int = 3
    sync: int = 7
    explore: Proposal = field(default_factory=Wander)

    def __post_init__(self) -> None:
        if min(self.starts, self.lift, self.sync) < 1:
            raise ValueError(
                f"starts, lift and sync must be at least 1; got {self.starts}, {self.lift} and {self.sync}."
            )

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where the level cannot `resume`."""
        require_resume(problem, "Lifted")
        clock, late, steps = Clock(problem.budget.seconds), False, problem.budget.iterations
        with torch.no_grad():
            propose = WithMeans(self.explore)
            starts = propose(start(problem, spread=0.0), self.starts, problem.generator)
        lagrangian = Lagrangian(penalty=0.1, margin=0.02)
        descent = Descent(problem, starts, lagrangian, alternatives=3, gap=0.1)
        virtual: _Virtual | None = None
        for step in range(steps):
            late = clock.late()
            if late and step > 0:
                break
            phase = step % (self.sync + self.lift)
            last = late or step + 1 == steps
            if last or phase < self.sync or clock.final():
                if phase == 0:
                    descent.walk(Adam(self.rate), self.sync)
                descent.step(last=last)
            else:
                virtual = virtual or _Virtual(problem, descent, lagrangian, self)
                virtual.step(1 - step / steps)
            if late:
                break
        return descent.plan(late=late)


class _Virtual:
    """The states of all candidates, `[B, S, K, T, *state]`."""

    def __init__(self, problem: Problem, descent: Descent, lagrangian: Lagrangian, given: Lifted) -> None:
        assert descent.trajectory is not None
        self._problem, self._descent, self._lagrangian, self._given = problem, descent, lagrangian, given
        present, way = descent.trajectory.states[:, :, :, :1], descent.trajectory.states[:, :, :, 1:]
        self._present = present
        self._states = torch.where(way.isfinite(), way, present)
        led = descent.trajectory.states.diff(dim=3).square().flatten(1)
        known = led.isfinite()
        mean = torch.where(known, led, 0).sum(1) / known.sum(1).clamp_min(1)
        far = torch.where(mean > 0, mean.sqrt(), 1)  # how far a block leads
        self._unit = far.reshape(-1, *[1] * (way.ndim - 1))
        self._actions = Moments(reach(problem.level.action_space, descent.actions))
        self._moments = Moments(self._unit)

    def step(self, left: float) -> None:
        """One lifted iteration, of which the share `left` of all is left."""
        problem, descent, given = self._problem, self._descent, self._given
        actions, states = (values.detach().requires_grad_() for values in (descent.actions, self._states))
        with torch.enable_grad():
            ahead = self._ahead(actions)
            apart = ((ahead - states) / self._unit).square().flatten(4).mean(-1).sum(-1).mean(-1)
            loss = given.consistency * apart + given.dense * self._worth(ahead, actions)
            loss = loss + self._worth(states, actions.detach())
            down, pull = slope_of(loss, actions, states)
        noise = torch.randn(
            states.shape, generator=problem.generator, device=states.device, dtype=states.dtype
        )
        with torch.no_grad():
            descent.actions = problem.level.action_space.project(actions - given.rate * self._actions(down))
            moved = given.noise * self._unit * noise - given.state_rate * self._moments(pull)
            self._states = states.detach() + left * moved
        descent.evaluations += ahead.shape[1:4].numel()
        descent.wait()

    def _ahead(self, actions: Tensor) -> Tensor:
        """Where one block leads from each virtual state and from the present, `[B, S, K, T, *state]`."""
        begin = torch.cat([self._present, self._states[:, :, :, :-1]], 3).transpose(2, 3)
        block = imagine_on(self._problem, begin.flatten(1, 2), actions.flatten(1, 2)[:, :, None])
        return block.states[:, :, :, 1].unflatten(1, begin.shape[1:3]).transpose(2, 3)

    def _worth(self, states: Tensor, actions: Tensor) -> Tensor:
        """Energy and guardrails of states after the present, `[B, S]`."""
        trajectory = Trajectory(torch.cat([self._present, states], 3), actions)
        return self._lagrangian.loss(self._lagrangian.terms(*score(self._problem, trajectory)))
