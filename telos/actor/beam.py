"""Beam search: all actions from the best few imagined states, block after block."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from telos.actor.archive import Clock, remember, to_plan
from telos.actor.discrete import cells, choices, firsts
from telos.actor.ranking import LOST, imagine, imagine_on, require_resume, score
from telos.actor.search import start
from telos.types import Plan, Problem, Trajectory

_WAYS = 8  # how many ways of a sweep are scored as plans
_SWEEPS = 4  # so many widths of nodes are kept of each depth


@dataclass(frozen=True)
class Beam:
    """Discrete actions: imagine every one from the `width` best states of each depth, and go on from there.

    One iteration of the budget is a sweep from the present to the horizon. The first is plain beam search; a
    later one goes on from the next best states that are left at each depth, so that after i sweeps the beam
    is i widths wide and nothing was imagined twice (anytime column search, Vadlamudi et al. 2012; here up to
    four widths are kept). Sequences are ranked as plans are, by what cost and guardrails say of
    the way so far, so feasible comes first. Of states that are nearly equal only the best is kept. In a
    world of few dimensions a beam as wide as there are different states is dynamic programming, and
    exact where the cost is a sum over steps.

    A cost that says little before the end misleads a beam: `MCTS` judges by whole plans. It needs a level
    that can `resume`; each sweep costs `width` * n * T evaluations per future, at most. The best
    ways of a sweep are scored as whole plans; where time runs out on the way, they end in rest.

    Args:
        width: how many states are gone on from, per depth and sweep.
        near: how near is nearly equal: the side of a grid's cell, in what a block moves a state.
    """

    width: int = 32
    near: float = 0.5

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where actions are not discrete, or the level cannot `resume`."""
        blocks = choices(problem.level.action_space, problem.state)
        require_resume(problem, "Beam")
        clock, late, archive, trace, evaluations = Clock(problem.budget.seconds), False, None, [], 0
        with torch.no_grad():
            belief = start(problem, spread=0.0)
            space, plans = belief.space, belief.mean
            sweep = _Sweep(problem, blocks, width=self.width, near=self.near)
            for _ in range(problem.budget.iterations):
                late = late or clock.late()
                if late and archive is not None:
                    break
                if not late:
                    late = sweep.run(clock)
                    plans = torch.cat([sweep.ways(_WAYS), belief.mean], 1)
                trajectory = imagine(problem, space.project(plans))
                scored, _ = score(problem, trajectory)
                archive = remember(archive, scored, trajectory, space=space, count=4, gap=0.1)
                trace.append(archive.scored.energy[:, 0])
                evaluations += plans.shape[1] * problem.horizon * trajectory.states.shape[2]
            assert archive is not None
            evaluations += sweep.evaluations
            return to_plan(problem, archive, trace=trace, evaluations=evaluations, late=late)


@dataclass(frozen=True)
class _Layer:
    """Ways `[B, M]` of t blocks from the present, best first."""

    states: Tensor  # [B, M, K, t+1, *state]
    actions: Tensor  # [B, M, t, size]
    rank: Tensor  # [B, M]; LOST: there is none
    open: Tensor  # bool [B, M]: may be gone on from

    def take(self, index: Tensor) -> _Layer:
        """Those at `index` `[B, N]`."""
        rows = torch.arange(len(index), device=index.device)[:, None]
        return _Layer(*(values[rows, index] for values in vars(self).values()))

    def join(self, other: _Layer) -> _Layer:
        """These and then the others."""
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return _Layer(*(torch.cat(pair, 1) for pair in pairs))


class _Sweep:
    """The layers of B beams, and how they are gone on from."""

    def __init__(self, problem: Problem, blocks: Tensor, *, width: int, near: float) -> None:
        self.evaluations = 0
        self._problem, self._blocks, self._width, self._near = problem, blocks, width, near
        self._layers: list[_Layer] = []
        self._deepest = 0  # depth that the last sweep came to
        self._side: Tensor | None = None  # [B, 1, 1]: of a cell

    def run(self, clock: Clock) -> bool:
        """From the present to the horizon; whether time ran out before it got there."""
        if not self._layers:
            self._layers.append(self._root())
        for depth in range(self._problem.horizon):
            self._deepest = depth
            if depth > 0 and clock.late():
                return True
            self._extend(depth)
        self._deepest = self._problem.horizon
        return False

    def ways(self, count: int) -> Tensor:
        """The actions `[B, N, T, size]` of the best ways that the last sweep found, and rest after those."""
        actions = self._layers[self._deepest].actions[:, :count]
        rest = self._blocks[0].expand(*actions.shape[:2], self._problem.horizon - actions.shape[2], -1)
        return torch.cat([actions, rest], 2)

    def _root(self) -> _Layer:
        """The present, in all the futures that a rollout imagines."""
        rest = self._blocks[:1].expand(self._problem.batch, 1, 1, -1)
        trajectory = imagine(self._problem, rest)
        self.evaluations += trajectory.states.shape[2]
        rank = torch.zeros(rest.shape[:2], dtype=torch.int64, device=rest.device)
        return _Layer(trajectory.states[:, :, :, :1], rest[:, :, :0], rank, rank == 0)

    def _extend(self, depth: int) -> None:
        """Imagine every action from the best open ways of a depth, and keep the best in the next layer."""
        layer = self._layers[depth]
        rank = layer.rank.where(layer.open, LOST)
        index = rank.topk(min(self._width, rank.shape[1]), dim=1, largest=False).indices
        known = rank.gather(1, index) != LOST
        deeper = self._layers[depth + 1] if len(self._layers) > depth + 1 else None
        if deeper is not None and not known.any():
            return
        self._layers[depth] = replace(layer, open=layer.open.scatter(1, index, False))
        found = self._children(layer.take(index), known)
        if deeper is None:
            self._layers.append(self._best(found))
        else:
            self._layers[depth + 1] = self._best(deeper.join(found))

    def _children(self, layer: _Layer, known: Tensor) -> _Layer:
        """Ways one block longer `[B, M * N]`; lost where the shorter way is not `known` `[B, M]`."""
        problem, N = self._problem, len(self._blocks)
        before = layer.states.repeat_interleave(N, 1)
        action = self._blocks.repeat(layer.rank.shape[1], 1)[None, :, None]
        action = action.expand(problem.batch, -1, -1, -1)
        begin = before[:, :, :, -1]
        block = imagine_on(problem, begin, action)
        self.evaluations += begin.shape[1] * begin.shape[2]
        states = torch.cat([before, block.states[:, :, :, 1:]], 3)
        actions = torch.cat([layer.actions.repeat_interleave(N, 1), action], 2)
        scored, _ = score(problem, Trajectory(states, actions))
        rank = scored.rank.where(known.repeat_interleave(N, 1), LOST)
        return _Layer(states, actions, rank, rank != LOST)

    def _best(self, layer: _Layer) -> _Layer:
        """The best of each cell of states, best first."""
        ends = layer.states[:, :, :, -1].mean(2).flatten(2)
        if self._side is None:
            moved = (ends - layer.states[:, :, :, 0].mean(2).flatten(2)).abs().amax(-1)
            self._side = self._near * moved.nan_to_num(0, 0, 0).mean(1)[:, None, None]
        rank = layer.rank.where(firsts(cells(ends, self._side), layer.rank), LOST)
        most = min(self._width * min(self._problem.budget.iterations, _SWEEPS), rank.shape[1])
        kept = rank.topk(max(most, min(_WAYS, rank.shape[1])), dim=1, largest=False)
        best = layer.take(kept.indices)
        return _Layer(best.states, best.actions, kept.values, best.open & (kept.values != LOST))
