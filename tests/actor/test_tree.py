"""The tree of imagined states."""

from dataclasses import replace

import pytest
import torch

from telos.actor import CEM, RandomShooting, Tree
from telos.actor.search import start
from telos.actor.tree import _Nodes
from telos.types import ActionSpace, Budget, Level, PlanStatus, Trajectory
from tests.actor.point import Formula, Setting, Zone, move, problem

SHORT = ActionSpace((-1.0, -1.0), (1.0, 1.0))
BALL = ActionSpace((-2.0, -2.0), (2.0, 2.0), max_norm=2.0)


def through_the_door(state, actions):
    """The rollout of a point in a room of 10 by 10, with a wall at x = 0 and a door at y in (2.5, 3.5)."""
    place = state[:, None].expand(-1, actions.shape[1], -1)
    states = [place]
    for action in actions.unbind(2):
        after = (place + action).clamp(-5, 5)
        way = after - place
        at = place[..., 1] - place[..., 0] * way[..., 1] / torch.where(way[..., 0] == 0, 1, way[..., 0])
        stopped = ((place[..., 0] < 0) != (after[..., 0] < 0)) & ((at < 2.5) | (at > 3.5))
        place = torch.where(stopped[..., None], place, after)
        states.append(place)
    return Trajectory(torch.stack(states, 2)[:, :, None], actions)


def last(*target):
    """The squared distance of the last state to a target."""
    return Formula(lambda t: (t.states[..., -1, :] - torch.tensor(target)).square().sum(-1))


def to_the_right(state=(0.0, 0.0), *, space=SHORT, iterations=12, **changes):
    setting = Setting(space, budget=Budget(iterations))
    return problem([list(state)], [[4.0, 0.0]], setting=setting, **{"cost": last(4.0, 0.0), **changes})


@pytest.fixture
def nodes(monkeypatch):
    """Of each tree that is grown, `nodes[n]`; and in `nodes[n].grown` the nodes that it grew, over time."""
    trees, choose = [], _Nodes.choose

    def watched(tree, count, generator):
        if not trees or trees[-1] is not tree:
            trees.append(tree)
            tree.grown = []
        tree.grown.append(choose(tree, count, generator))
        return tree.grown[-1]

    monkeypatch.setattr(_Nodes, "choose", watched)
    return trees


def test_the_tree_finds_a_door_that_sampled_plans_of_the_same_evaluations_do_not():
    def beyond(iterations):
        setting = Setting(SHORT, through_the_door, budget=Budget(iterations))
        start, goal = [[-4.0, -4.0]] * 16, [[0.0, 0.0]] * 16
        return problem(start, goal, setting=setting, horizon=22, cost=last(4.0, -4.0))

    tree = Tree(64)(beyond(40))
    assert (tree.energy < 1).sum() >= 14
    for rival in (RandomShooting(64), CEM(64, elites=8)):
        sampled = rival(beyond(2))
        assert sampled.evaluations >= tree.evaluations
        assert (sampled.energy > 1).all()


def test_the_way_to_a_node_leads_to_its_state(nodes):
    Tree(32)(to_the_right())
    (tree,) = nodes
    ways = tree.ways(tree.count)
    assert tree.depth.max() >= 4
    order = tree.energy.argsort(1)
    ends = move(torch.zeros(1, 2), ways).states[0, :, 0, -1]  # at rest a point stays where it is
    torch.testing.assert_close(ends, tree.states[0, order[0], 0], atol=1e-5, rtol=0)


def test_the_energy_of_the_plan_is_that_of_the_best_node(nodes):
    plan = Tree(32)(to_the_right())
    torch.testing.assert_close(plan.energy, nodes[0].energy.amin(1), atol=1e-5, rtol=0)
    torch.testing.assert_close(plan.trace[-1], nodes[0].energy.amin(1))
    assert plan.energy < 0.5  # from 16


def test_children_that_violate_a_guardrail_are_not_grown(nodes):
    Tree(32)(to_the_right(guardrails=(Zone((2.0, 0.0), 1.0),)))
    (tree,) = nodes
    assert (tree.violation > 0).any()
    assert (tree.violation.gather(1, torch.cat(tree.grown, 1)) == 0).all()


def test_from_a_present_that_violates_one_they_are_and_the_plan_leaves(nodes):
    deep = Zone((0.0, 0.0), 2.5)  # three blocks across: no single one leads out
    plan = Tree(64)(to_the_right(guardrails=(deep,)))
    (tree,) = nodes
    assert (tree.violation.gather(1, torch.cat(tree.grown, 1)) > 0).any()
    assert plan.status == (PlanStatus.INFEASIBLE,)
    assert (deep(plan.trajectory)[..., 3:] <= 0).all()


def test_nodes_that_are_grown_are_apart_and_others_are_near_to_one(nodes):
    Tree(64, near=0.5)(to_the_right(iterations=6))
    (tree,) = nodes
    places, may = tree.states[0, :, 0], tree.lonely[0]
    assert may[torch.cat(tree.grown, 1)].all()
    assert 1 < may.sum() < tree.count / 2
    near, order = 0.5 * tree.reach.item(), torch.eye(int(may.sum())) * 99
    assert (torch.cdist(places[may], places[may]) + order).min() >= near
    close = torch.cdist(places[~may], places[may]).amin(1) < near
    assert close.float().mean() > 0.95  # the few others came near to each other in one iteration


def test_the_longest_actions_go_in_all_directions(nodes):
    Tree(1000, full=0.7)(to_the_right(space=BALL, iterations=1))
    actions = nodes[0].actions[0, 1:]
    longest = actions[torch.linalg.vector_norm(actions, dim=-1) > 1.999]
    assert len(longest) / 1000 == pytest.approx(0.7, abs=0.05)
    angle = torch.atan2(longest[:, 1], longest[:, 0])
    assert torch.histc(angle, 12, min=-torch.pi, max=torch.pi).min() > 30  # 58 if they are even


def test_evaluations_are_children_and_plans_times_futures():
    def twice(state, actions):
        return replace(move(state, actions), states=move(state, actions).states.expand(-1, -1, 2, -1, -1))

    case = to_the_right(iterations=5, horizon=6)
    level = replace(case.level, rollout=twice)
    found = Tree(32)(replace(case, levels=(level,)))
    assert found.trajectory.states.shape[2] == 2
    assert found.evaluations == 2 * (1 + 5 * 32 + (8 + 1) * 6)  # the present, children, ways and warm start


def test_a_level_that_cannot_resume_is_an_error_that_says_what_to_do():
    with pytest.raises(ValueError, match=r"Tree needs a level .* Level\(rollout, space, resume=\.\.\.\)"):
        Tree()(replace(to_the_right(), levels=(Level(move, SHORT),)))


def test_a_resume_of_a_wrong_shape_is_an_error_that_says_so():
    case = to_the_right()

    def still(state, imagined, actions):
        return Trajectory(imagined[:, :, :, None], actions)

    with pytest.raises(ValueError, match=r"resume must return states .* got \[1, 32, 1, 1, 2\]"):
        Tree(32)(replace(case, levels=(replace(case.level, resume=still),)))


def test_a_first_child_that_is_not_finite_does_not_make_everything_lonely():
    def blown(state, actions):
        found = move(state, actions)
        return replace(found, states=torch.where(found.states > 1, torch.nan, found.states))

    asked = problem([[0.0, 0.0]], [[-4.0, 0.0]], setting=Setting(rollout=blown, budget=Budget(1)))
    nodes = _Nodes(asked)
    Tree()._grow(asked, start(asked, spread=1.0), nodes)
    assert nodes.reach is not None
    assert 0 < nodes.reach.item() < 3
