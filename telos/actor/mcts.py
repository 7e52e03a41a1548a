"""Monte Carlo tree search over discrete actions, as a proposal of the one search loop."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from telos.actor.discrete import cells, choices, firsts
from telos.actor.proposals import Belief, Proposal, Wander
from telos.actor.ranking import LOST, Scored, score, unranked
from telos.actor.search import Elites, search
from telos.types import Plan, Problem, Trajectory


@dataclass(frozen=True)
class MCTS:
    """Discrete actions: a tree of action sequences that grows where whole plans turned out well (UCT).

    A walk descends from the present by the bound of Kocsis and Szepesvari (2006) to a sequence that was not
    gone on from, adds one child per action, and proposes one whole plan through each: the child's sequence,
    then the rest of the best plan so far (a part `follow` of them) or what `explore` draws. Every plan is
    imagined and scored as in all sampling planners, and what it is worth goes back up the tree.

    What differs from the textbook, because the world model is an open-loop simulator and only the best plan
    counts: a node is worth its best plan, not the mean (as in single-player MCTS, Schadd et al. 2008). Of
    sequences of one length that lead to nearly the same state only the one that has cost least so far
    is gone on from, as in `Beam`; one all of whose continuations were scored is not visited again. Worths
    are scaled to 0..1 among siblings, since energies have no scale of their own (mctx does so with values,
    github.com/google-deepmind/mctx); what violates a guardrail is worth the least while a sibling does
    not. Several walks share an iteration; each counts as a visit before it is scored, so that they
    spread (Liu et al., arXiv 1810.11755). Alternatives to begin with are scored beside the first ones.

    Args:
        candidates: S, plans per iteration; rounded down to whole walks of one plan per action, at least one.
        curiosity: the weight of the bound's second term, sqrt(log(visits) / visits of the child).
        follow: the part of plans that go on as the best one so far does.
        near: how near is nearly equal: the side of a grid's cell, in what a block moves a state.
        explore: what the others go on with.
    """

    candidates: int = 64
    curiosity: float = 1.5
    follow: float = 0.75
    near: float = 0.5
    explore: Proposal = field(default_factory=Wander)

    def __call__(self, problem: Problem) -> Plan:
        """Plan. `ValueError` where actions are not discrete."""
        tree = _Tree(problem, self)
        watched = replace(problem.level, rollout=tree.imagine)
        return search(
            replace(problem, levels=(watched, *problem.levels[1:])),
            propose=tree.walk,
            weigh=_all,
            refit=tree.back_up,
            candidates=self.candidates,
        )


def _all(scored: Scored, belief: Belief) -> Elites:
    return Elites(scored, scored.finite.to(scored.energy.dtype))


class _Tree:
    """B trees with the same number of nodes, `[B, M]` of everything; node 0 is the present."""

    def __init__(self, problem: Problem, settings: MCTS) -> None:
        self._blocks = choices(problem.level.action_space, problem.state)  # [N, size]
        self._problem, self._horizon, self._settings = problem, problem.horizon, settings
        self._rows = torch.arange(problem.batch, device=problem.state.device)
        one = torch.zeros(problem.batch, 1, dtype=torch.int64, device=problem.state.device)
        self._children = one[..., None].repeat(1, 1, len(self._blocks))  # [B, M, N]; 0: none yet
        self._visits = one.clone()
        self._rank = one + LOST  # of the best plan through each
        self._closed = one > 0  # not to be visited: all plans through it were, or another way is better
        self._key = one.clone()  # of what it leads to: its depth, and the cell of its state
        self._so_far = one.clone()  # the rank of the way there
        # Of the walks of this iteration: the nodes down to the leaf, the leaf's depth, what was imagined.
        self._paths, self._depths = one[..., None], one  # [B, W, T] and [B, W]
        self._imagined: Trajectory | None = None
        self._side: Tensor | None = None  # [B, 1, 1]: of a cell

    def walk(self, belief: Belief, count: int, generator: torch.Generator) -> Tensor:
        """Plans `[B, walks * N, T, size]`, and at first the alternatives behind them: a `Proposal`."""
        B, N, T = len(self._rows), len(self._blocks), self._horizon
        walks, first = max(1, count // N), self._rank.shape[1]
        explored = belief.space.project(self._settings.explore(belief, walks * N, generator))
        drawn = torch.rand((B, walks * N, 1, 1), generator=generator, device=explored.device)
        if first == 1:
            drawn[:, :N] = 0  # the first walk's plans all go on as believed: one of them is the warm start
        followed = torch.where(drawn < self._settings.follow, belief.mean[:, :1], explored)
        plans = followed.unflatten(1, (walks, N))
        number = torch.arange(N, device=plans.device)
        time, paths, depths = torch.arange(T, device=plans.device), [], []
        self._add(walks * N)
        for walk in range(walks):
            path, taken = self._descend()
            depth = (taken >= 0).sum(1)[:, None]
            self._expand(path, depth[:, 0], first + walk * N + number)
            # Which block the tree says, `[B, N, T]`; where all plans were proposed (depth T) it says none.
            said = torch.where(time == depth[..., None], number[:, None], taken[:, None])
            said = torch.where(depth[..., None] < T, said, -1)[..., None]
            plans[:, walk] = torch.where(said >= 0, self._blocks[said[..., 0].clamp_min(0)], plans[:, walk])
            paths.append(torch.where((depth < T) & (path >= 0), path, 0))
            depths.append(depth[:, 0])
        self._paths, self._depths = torch.stack(paths, 1), torch.stack(depths, 1)
        return torch.cat([plans.flatten(1, 2), belief.mean[:, 1:]], 1)

    def back_up(self, belief: Belief, elites: Elites) -> Belief:
        """Tell the tree what the last walks' plans are worth; believe in the best plan so far: a `Refit`."""
        self._close()
        scored, before = elites.scored, self._rank[:, :1].clone()
        count = self._depths.shape[1] * len(self._blocks)  # what is beyond are alternatives, in no node
        self._rank[:, -count:] = scored.rank[:, :count]
        best = scored.rank[:, :count].unflatten(1, (self._paths.shape[1], -1)).amin(2)
        for nodes in self._paths.unbind(2):
            self._rank.scatter_reduce_(1, nodes, best, "amin")
        top = scored.take(scored.best(1))
        self._rank[:, :1] = torch.minimum(self._rank[:, :1], top.rank)
        better = (top.rank < before)[..., None, None]
        mean = torch.where(better, top.actions, belief.mean[:, :1])
        return replace(belief, mean=mean, std=belief.std[:, :1])

    def imagine(self, state: Tensor, actions: Tensor) -> Trajectory:
        """The problem's own `Rollout`; what it gives is looked at in `back_up`."""
        self._imagined = self._problem.level.rollout(state, actions)
        return self._imagined

    def _close(self) -> None:
        """Do not go on from where another way has led at less cost, nor from where nothing is left to do."""
        assert self._imagined is not None
        states, actions = self._imagined.states, self._imagined.actions
        depth = self._depths.repeat_interleave(len(self._blocks), 1) + 1  # of the children, [B, S]
        states, actions = states[:, : depth.shape[1]], actions[:, : depth.shape[1]]
        so_far = torch.full_like(depth, LOST)
        for steps in depth.unique().tolist():  # those beyond the horizon are in no tree
            way = Trajectory(states[:, :, :, : steps + 1], actions[:, :, :steps])
            so_far = score(self._problem, way)[0].rank.where(depth == steps, so_far)
        places = states.mean(2).flatten(3)
        if self._side is None:
            moved = (places[:, :, 1] - places[:, :, 0]).abs().amax(-1).nan_to_num(0, 0, 0)
            self._side = self._settings.near * moved.mean(1)[:, None, None]
        index = depth.clamp_max(self._horizon)[..., None, None].expand(-1, -1, 1, places.shape[3])
        self._key[:, -depth.shape[1] :] = cells(places.gather(2, index)[:, :, 0], self._side) + depth
        self._so_far[:, -depth.shape[1] :] = so_far
        self._closed |= ~firsts(self._key, self._so_far)
        rows = self._rows[:, None]
        for node in self._paths.unbind(2)[::-1]:
            below = self._children[rows, node]
            done = self._closed[rows[..., None], below].all(2) & (below[..., 0] > 0)
            self._closed[rows, node] |= done

    def _add(self, count: int) -> None:
        """More nodes, each of which is visited once and has no children."""
        shape = (len(self._rows), count)
        children = self._children.new_zeros(*shape, len(self._blocks))
        self._children = torch.cat([self._children, children], 1)
        self._visits = torch.cat([self._visits, self._visits.new_ones(shape)], 1)
        self._rank = torch.cat([self._rank, self._rank.new_full(shape, LOST)], 1)
        self._closed = torch.cat([self._closed, self._closed.new_zeros(shape)], 1)
        self._key = torch.cat([self._key, self._key.new_zeros(shape)], 1)
        self._so_far = torch.cat([self._so_far, self._so_far.new_full(shape, LOST)], 1)

    def _descend(self) -> tuple[Tensor, Tensor]:
        """A walk to a leaf: the nodes `[B, T]` it passes and the children it takes, -1 beyond its end."""
        node, going = torch.zeros_like(self._rows), torch.ones_like(self._rows, dtype=torch.bool)
        path = node.new_full((len(node), self._horizon), -1)
        taken = path.clone()
        for time in range(self._horizon):
            path[:, time] = node.where(going, -1)
            children = self._children[self._rows, node]
            going = going & (children[:, 0] > 0)
            if not going.any():
                break
            choice = self._choose(node, children)
            taken[:, time] = choice.where(going, -1)
            node = children[self._rows, choice].where(going, node)
        return path, taken

    def _choose(self, node: Tensor, children: Tensor) -> Tensor:
        """The child `[B]` of each node `[B]` with the lowest bound; `children` are `[B, N]`."""
        energy, violation = unranked(self._rank.gather(1, children))
        feasible = energy.isfinite() & (violation <= 0)
        some = feasible.any(1, keepdim=True)
        counted, value = torch.where(some, feasible, energy.isfinite()), torch.where(some, energy, violation)
        low = value.where(counted, torch.inf).amin(1, keepdim=True)
        high = value.where(counted, -torch.inf).amax(1, keepdim=True)
        worth = ((value - low) / (high - low).clamp_min(1e-12)).where(counted, 1)
        visits = self._visits.gather(1, children)
        total = self._visits[self._rows, node][:, None]
        bound = worth - self._settings.curiosity * (total.log() / visits).sqrt()
        return bound.where(~self._closed.gather(1, children), torch.inf).argmin(1)

    def _expand(self, path: Tensor, depth: Tensor, ids: Tensor) -> None:
        """Give each leaf, at `depth` `[B]`, its children; at depth T there is nothing left to go on from."""
        able = depth < self._horizon
        leaf = path.gather(1, depth.clamp_max(self._horizon - 1)[:, None])[:, 0].where(able, 0)
        children = torch.where(able[:, None], ids, self._children[self._rows, leaf])
        self._children[self._rows, leaf] = children
        self._closed[:, ids] = (depth + 1 >= self._horizon)[:, None]
        path = path[:, : int(depth.max()) + 1]
        self._visits.scatter_add_(1, path.clamp_min(0), (path >= 0) * len(ids))
