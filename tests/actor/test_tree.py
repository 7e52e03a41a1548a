"""The tree of imagined states, and planners one after another."""

from dataclasses import replace

import pytest
import torch

from telos.actor import CEM, RandomShooting, Relay, Tree
from telos.actor.tree import _Nodes
from telos.types import ActionSpace, Budget, Level, Trajectory
from tests.actor.point import WIDE, Formula, Setting, Zone, move, problem

H = 16
SHORT = ActionSpace((-1.0, -1.0), (1.0, 1.0))


def through_the_door(state, actions):
    """The rollout of a point that a wall at x = 2 stops, but for a door at y in (4, 5)."""
    place = state[:, None].expand(-1, actions.shape[1], -1)
    states = [place]
    for action in actions.unbind(2):
        after = place + action
        crosses = (place[..., 0] < 2) != (after[..., 0] < 2)
        part = (2 - place[..., :1]) / torch.where(action[..., :1] == 0, 1, action[..., :1])
        at = (place + part * action)[..., 1]
        place = torch.where((crosses & ~((at > 4) & (at < 5)))[..., None], place, after)
        states.append(place)
    return Trajectory(torch.stack(states, 2)[:, :, None], actions)


def last(*target):
    """The squared distance of the last state to a target."""
    return Formula(lambda t: (t.states[..., -1, :2] - torch.tensor(target)).square().sum(-1))


def beyond_the_door(seed, iterations):
    setting = Setting(SHORT, through_the_door, seed, Budget(iterations))
    return problem([[0.0, 0.0]], [[0.0, 0.0]], setting=setting, horizon=H, cost=last(4.0, 0.0))


def to_the_right(iterations=6, **changes):
    setting = Setting(budget=Budget(iterations))
    return problem([[0.0, 0.0]], [[0.0, 0.0]], setting=setting, **{"cost": last(4.0, 0.0), **changes})


@pytest.fixture
def kept(monkeypatch):
    """The nodes of every tree that is grown, in order; each has `grown`, the parents it chose."""
    trees = []
    begin, choose = _Nodes.__init__, _Nodes.choose

    def kept_begin(self, case):
        begin(self, case)
        self.grown = []
        trees.append(self)

    def kept_choose(self, count, generator):
        parents = choose(self, count, generator)
        self.grown.append(parents)
        return parents

    monkeypatch.setattr(_Nodes, "__init__", kept_begin)
    monkeypatch.setattr(_Nodes, "choose", kept_choose)
    return trees


def test_the_tree_finds_the_door_that_sampled_plans_do_not_find():
    tree = [Tree(64)(beyond_the_door(seed, 48)) for seed in range(6)]
    assert sum(plan.energy.item() < 1.0 for plan in tree) >= 4
    for rival in (RandomShooting(64), CEM(64, elites=8)):
        other = [rival(beyond_the_door(seed, 4)) for seed in range(6)]
        assert all(plan.evaluations > tree[0].evaluations for plan in other)
        assert min(plan.energy.item() for plan in other) > 4.0  # on this side of the wall


def test_a_way_replayed_from_the_present_leads_to_its_node(kept):
    case = to_the_right(8)
    Tree(16)(case)
    nodes = kept[0]
    ways = nodes.ways(nodes.count)
    reached = move(case.state, ways).states[0, :, 0]  # [N, T+1, 2], best node first
    ends = {tuple(end) for end in nodes.states[0, :, 0].round(decimals=4).tolist()}
    assert nodes.depth.max() > 2
    assert all(tuple(way[-1]) in ends for way in reached.round(decimals=4).tolist())


def test_children_inside_a_guardrail_are_not_grown(kept):
    Tree(32)(to_the_right(8, guardrails=(Zone((2.0, 0.0), 1.0),)))
    nodes = kept[0]
    inside = nodes.violation[0] > 0
    assert inside.any()
    assert not inside[torch.cat(nodes.grown, 1)[0]].any()


def test_from_inside_a_guardrail_the_tree_grows_all_the_same(kept):
    plan = Tree(32)(to_the_right(8, guardrails=(Zone((0.0, 0.0), 0.5),)))
    assert kept[0].depth.max() > 1
    assert plan.trajectory.states[0, 0, 0, -1].norm() > 0.5  # and leaves


def test_nodes_near_an_earlier_one_are_not_grown(kept):
    Tree(32)(to_the_right(8))
    nodes = kept[0]
    grown = torch.cat(nodes.grown, 1)[0]
    assert not nodes.lonely.all()
    assert nodes.lonely[0, grown].all()


def test_evaluations_are_the_children_and_the_final_scoring():
    plan = Tree(16)(to_the_right(5))
    assert (
        plan.evaluations == 1 + 16 * 5 + (8 + 1) * 6
    )  # the present, children, eight ways and the warm start


def test_a_level_that_cannot_resume_is_an_error_that_says_so():
    case = to_the_right()
    with pytest.raises(ValueError, match="resume="):
        Tree()(replace(case, levels=(Level(move, WIDE),)))


def test_a_relay_hands_on_plans_and_adds_up_costs():
    asked = []

    def first(case):
        asked.append(case)
        return Tree(8)(case)

    def second(case):
        asked.append(case)
        return CEM(16, elites=4)(case)

    plan = Relay(((3, first), (1, second)))(to_the_right(8))
    alone = Tree(8)(to_the_right(6))
    assert [case.budget.iterations for case in asked] == [6, 2]
    assert torch.equal(asked[1].warm_start, alone.actions)
    assert plan.evaluations == alone.evaluations + 2 * 16 * 6
    assert len(plan.trace) == 8
    assert plan.energy <= alone.energy


def test_a_relay_shares_out_its_seconds():
    asked = []

    def stage(case):
        asked.append(case.budget.seconds)
        return CEM(8, elites=2)(case)

    Relay(((3, stage), (1, stage)))(replace(to_the_right(), budget=Budget(8, seconds=40.0)))
    assert 29.0 < asked[0] <= 30.0
    assert 39.0 < asked[1] <= 40.0  # what the first left is the second's
