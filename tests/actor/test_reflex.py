"""The reactive policy as a planner, and as what another planner proposes."""

from dataclasses import replace

import pytest
import torch

from telos.actor import Evolution, Gradient, Guided, RandomShooting, Reflex, Relay, Tree
from telos.actor.policy import ReactivePolicy
from telos.types import ActionSpace, Budget, Level
from tests.actor.point import Setting, move, problem
from tests.actor.test_tree import BALL, last, through_the_door

ONCE = Setting(budget=Budget(1))


def behind_the_wall(planner, iterations=1, **changes):
    """Plan from beside a wall to the other side, with a policy that knows where the door is."""

    def policy(imagined):
        place = imagined[:, :, 0]
        door, goal = torch.tensor([0.3, 3.0]), torch.tensor([4.0, -3.0])
        ready = (place[..., :1] > 0) | ((place[..., 1:] - 3).abs() < 0.4)
        way = torch.where(place[..., :1] > 0, goal, torch.where(ready, door, torch.tensor([-0.5, 3.0])))
        return way - place

    setting = Setting(BALL, through_the_door, budget=Budget(iterations))
    task = problem(
        [[-4.0, -3.0]],
        [[4.0, -3.0]],
        setting=setting,
        horizon=14,
        **{"cost": last(4.0, -3.0), "policy": policy, **changes},
    )
    return planner(task)


def test_alone_it_is_one_way_imagined_and_scored_beside_resting():
    rows = []

    def counted(state, actions):
        rows.append(actions.shape[:3].numel())
        return move(state, actions)

    found = Reflex()(problem([[0.0, 0.0]], [[4.0, 0.0]], setting=replace(ONCE, rollout=counted)))
    torch.testing.assert_close(found.actions[0, :3, 0], torch.tensor([2.0, 1.4, 0.42]))
    assert found.evaluations == sum(rows) == 3 * 6


def test_where_it_leads_nowhere_the_warm_start_is_the_plan():
    warm = torch.tensor([[[2.0, 0.0]] * 2 + [[0.0, 0.0]] * 4])
    away = problem([[0.0, 0.0]], [[4.0, 0.0]], setting=ONCE, policy=lambda now: 0 * now[:, :, 0] - 1)
    assert torch.equal(Reflex()(replace(away, warm_start=warm)).actions, warm)
    assert torch.equal(Reflex()(away).actions, 0 * warm)


def test_alternatives_are_scored_beside_what_it_does_and_do_not_take_its_place():
    others = torch.zeros(1, 3, 6, 2) - 1
    alone = Reflex()(problem([[0.0, 0.0]], [[4.0, 0.0]], setting=ONCE))
    beside = Reflex()(problem([[0.0, 0.0]], [[4.0, 0.0]], setting=ONCE, alternatives=others))
    torch.testing.assert_close(beside.actions, alone.actions)
    assert beside.evaluations == alone.evaluations + 3 * 6


def test_it_goes_through_a_door_that_no_sampled_plan_meets():
    assert behind_the_wall(Evolution(), 3).energy > 16
    assert behind_the_wall(Reflex()).energy < 0.1


@pytest.mark.parametrize(
    "planner",
    [
        Guided(),
        Guided(RandomShooting(), share=0.1),
        Guided(Gradient(), share=0.5),
        Relay(((1, Reflex()), (1, Evolution()))),
        Relay(((1, Tree()), (1, Guided()))),
    ],
)
def test_a_planner_is_shown_the_way_by_its_proposals_or_its_warm_start(planner):
    assert behind_the_wall(planner, 2).energy < 0.1


def test_without_a_policy_guided_is_the_planner_and_reflex_says_what_is_missing():
    without = {"policy": None}
    one, other = (behind_the_wall(planner, **without) for planner in (Guided(Evolution()), Evolution()))
    assert torch.equal(one.actions, other.actions)
    assert one.evaluations == other.evaluations
    with pytest.raises(ValueError, match="fit_reflex"):
        behind_the_wall(Reflex(), **without)


def test_a_policy_of_the_wrong_shape_and_a_level_that_cannot_resume_are_named():
    with pytest.raises(ValueError, match=r"actions \[B, S, size\] = \[1, 1, 2\].*got \[1, 1, 1\]"):
        behind_the_wall(Reflex(), policy=lambda imagined: imagined[:, :, 0, :1])
    with pytest.raises(ValueError, match="resume"):
        behind_the_wall(Reflex(), levels=(Level(through_the_door, BALL),))


@pytest.mark.parametrize("scene_channels", [0, 3])
def test_a_policy_gives_one_action_per_state_and_sees_goal_and_scene(scene_channels):
    torch.manual_seed(0)
    space = ActionSpace((0.0, -1.0), (4.0, 1.0), block=2, held=False)
    policy = ReactivePolicy(space, size=8, keypoints=2, scene_channels=scene_channels, steps=8)
    goal, scene = torch.randn(2, 8), torch.randn(2, max(scene_channels, 1), 16, 16)
    moving = (0.1 * torch.randn(2, 1, 8)).expand(-1, 5, -1)
    actions = policy(moving, goal, policy.view(scene, goal))
    assert actions.shape == (2, 5, 4)
    torch.testing.assert_close(
        actions, policy(moving[:, :1], goal, policy.view(scene, goal)).expand(-1, 5, -1)
    )
    assert not torch.allclose(actions, policy(moving, 0 * goal, policy.view(scene, 0 * goal)))
    blind = torch.allclose(actions, policy(moving, goal, policy.view(0 * scene, goal)))
    assert blind == (scene_channels == 0)


def test_a_resume_of_the_wrong_shape_is_named_when_a_policy_is_imagined():
    short = Level(move, BALL, resume=lambda state, now, actions: move(state, actions[:, :, :0]))
    with pytest.raises(ValueError, match=r"resume must return states \[B, S, K, T\+1"):
        Reflex()(problem([[0.0, 0.0]], [[4.0, 0.0]], levels=(short,)))
