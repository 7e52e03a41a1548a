"""A tree of imagined states that spreads over what can be reached, for ways that no sampled plan finds."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from telos.actor.archive import Clock, remember, to_plan
from telos.actor.proposals import Belief, pushes
from telos.actor.ranking import imagine, imagine_on, rank, require_resume, score
from telos.actor.search import start
from telos.types import Plan, Problem, Trajectory

_WAYS = 8  # how many ways through the tree are scored as plans


@dataclass(frozen=True)
class Tree:
    """Grow a tree of imagined states from the present; the plan is the way to one of its best, then rest.

    A sampled plan has to meet every door on its way by chance, all at once. A tree goes on from what was
    reached: in each iteration `candidates` nodes, those with few others near them the likelier, get a
    child each by one random block of actions. That is an expansive-space tree (Hsu, Latombe and Motwani
    1997) over a learned model. As in SST (Li, Littlefield and Bekris, arXiv 1407.2896) it takes forward
    prediction only, and what comes near to an earlier node that may be grown is not. A child costs one
    evaluation per future, so a tree is cheap beside sampled plans of the whole horizon.

    Children that violate a guardrail are not grown, except from a present that does. Cost and guardrails
    are asked about one block at a time: those energies order the nodes and are in `Plan.trace`. In the end
    the ways to the best few nodes, and the warm start, are scored as whole plans. The ways are crooked:
    `Relay` hands one to another planner, as a warm start, to make it straight.

    Args:
        candidates: S, how many children per iteration.
        near: how close is near, as a share of how far a block leads on average.
        full: the share of actions that are as long as the bounds allow, in all directions.
    """

    candidates: int = 128
    near: float = 0.7
    full: float = 0.7

    def __post_init__(self) -> None:
        if self.candidates < 1:
            raise ValueError(f"candidates must be at least 1; got {self.candidates}.")

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where the level cannot `resume`."""
        require_resume(problem, "Tree")
        clock, late, trace = Clock(problem.budget.seconds), False, []
        with torch.no_grad():
            belief = start(problem, spread=1.0)
            nodes = _Nodes(problem)
            for _ in range(problem.budget.iterations):
                late = clock.late()
                if late and trace:
                    break
                self._grow(problem, belief, nodes)
                trace.append(nodes.energy.masked_fill(~nodes.good, torch.inf).amin(1))
            plans = torch.cat([nodes.ways(_WAYS), belief.mean], 1)
            trajectory = imagine(problem, belief.space.project(plans))
            scored, _ = score(problem, trajectory)
            archive = remember(None, scored, trajectory, space=belief.space, count=4, gap=0.1)
            rows = nodes.count + plans.shape[1] * problem.horizon
            evaluations = rows * trajectory.states.shape[2]
            return to_plan(problem, archive, trace=trace, evaluations=evaluations, late=late)

    def _grow(self, problem: Problem, belief: Belief, nodes: _Nodes) -> None:
        """One more child for each of some nodes."""
        parent = nodes.choose(self.candidates, problem.generator)
        shape = (problem.batch, self.candidates)
        push = pushes(belief, shape, problem.generator)
        share = (push.abs() / belief.reach.clamp_min(1e-12)).amax(-1, keepdim=True)  # of the way to a bound
        full = torch.rand(*shape, 1, generator=problem.generator, device=push.device) < self.full
        push = torch.where(full, push / share.clamp_min(1e-12), push)
        action = belief.space.project(belief.space.centre(push) + push)[:, :, None]
        begin = nodes.at(parent)
        block = imagine_on(problem, begin, action)
        scored, _ = score(problem, block)
        nodes.add(parent, block, scored.energy, scored.violation, near=self.near)


class _Nodes:
    """The nodes of B trees, `[B, N]` of everything; node 0 is the present."""

    def __init__(self, problem: Problem) -> None:
        space = problem.level.action_space
        rest = space.project(problem.state.new_zeros(problem.batch, 1, 1, space.size))
        present = imagine(problem, rest)
        scored, _ = score(problem, present)
        self.horizon = problem.horizon
        self.states = present.states[:, :, :, 0]  # [B, N, K, *state]
        self.actions = rest[:, :, 0]  # [B, N, size]: what led there
        self.parent = torch.zeros_like(scored.rank)
        self.depth = torch.zeros_like(scored.rank)
        self.energy = scored.energy  # of having gone there
        self.violation = torch.zeros_like(scored.violation)  # in total on the way
        self.stay = scored.violation  # of the last block; of each block of rest there, about
        self.good = scored.finite  # may be on the way of a plan
        self.lonely = scored.finite  # good, and no earlier lonely node was near: may be grown
        self.crowd = torch.zeros_like(scored.energy)  # how many later ones came near
        self.beyond = scored.violation > 0  # [B, 1]: resting here violates a guardrail
        self.reach: Tensor | None = None  # [B, 1, 1]: how far a block leads

    @property
    def count(self) -> int:
        """N, each of which cost one evaluation per future."""
        return self.parent.shape[1]

    def at(self, index: Tensor) -> Tensor:
        """The states `[B, S, K, *state]` of nodes `[B, S]`."""
        return self.states[self._rows, index]

    def choose(self, count: int, generator: torch.Generator) -> Tensor:
        """Nodes `[B, count]` to grow, the lonelier the likelier; the present where none can be."""
        able = self.lonely & (self.depth < self.horizon)
        weight = torch.where(able, (1 + self.crowd) ** -2, 0)
        none = weight.sum(1, keepdim=True) == 0
        weight = torch.where(none, (self.depth == 0).to(weight.dtype), weight)
        return torch.multinomial(weight, count, replacement=True, generator=generator)

    def add(
        self, parent: Tensor, block: Trajectory, energy: Tensor, violation: Tensor, *, near: float
    ) -> None:
        """Children `[B, S]` of these parents, a block `[B, S, K, 2, *state]` later."""
        before, after = (block.states[:, :, :, step].mean(2).flatten(2) for step in (0, 1))
        reach = self.reach
        if reach is None:
            led = torch.linalg.vector_norm(after - before, dim=-1)
            led = torch.where(led.isfinite(), led, torch.nan).nanmean(1).nan_to_num(0)
            reach = self.reach = led[:, None, None]
        total = self.violation[self._rows, parent] + violation
        good = energy.isfinite() & total.isfinite() & (self.beyond | (total <= 0))
        close = torch.cdist(after, self.states.mean(2).flatten(2)) < near * reach  # [B, S, N]
        siblings = torch.cdist(after, after) < near * reach
        lonely = good & ~(close & self.lonely[:, None]).any(2)
        lonely &= ~(siblings & lonely[:, None] & torch.ones_like(siblings[0]).tril(-1)).any(2)
        self.crowd = torch.cat([self.crowd + close.sum(1), torch.zeros_like(energy)], 1)
        self.states = torch.cat([self.states, block.states[:, :, :, 1]], 1)
        self.actions = torch.cat([self.actions, block.actions[:, :, 0]], 1)
        self.depth = torch.cat([self.depth, self.depth[self._rows, parent] + 1], 1)
        self.parent = torch.cat([self.parent, parent], 1)
        self.energy = torch.cat([self.energy, energy], 1)
        self.violation = torch.cat([self.violation, total], 1)
        self.stay = torch.cat([self.stay, violation], 1)
        self.good = torch.cat([self.good, good], 1)
        self.lonely = torch.cat([self.lonely, lonely], 1)

    def ways(self, count: int) -> Tensor:
        """The actions `[B, count, horizon, size]` to each tree's best nodes, and rest after that."""
        violation = self.violation + (self.horizon - self.depth) * self.stay
        order = rank(torch.where(self.good, self.energy, torch.inf), violation)
        node = order.topk(min(count, self.count), dim=1, largest=False).indices
        ways = self.actions[:, :1, None].repeat(1, node.shape[1], self.horizon, 1)
        for _ in range(self.horizon):
            depth = self.depth[self._rows, node][..., None]
            step = (depth - 1).clamp_min(0)[..., None].expand(-1, -1, -1, ways.shape[3])
            led = torch.where(depth > 0, self.actions[self._rows, node], ways.gather(2, step)[:, :, 0])
            ways = ways.scatter(2, step, led[:, :, None])
            node = self.parent[self._rows, node]  # that of the present is the present
        return ways

    @property
    def _rows(self) -> Tensor:
        return torch.arange(len(self.parent), device=self.parent.device)[:, None]
