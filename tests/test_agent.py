from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from telos.actor import CEM, MPPI, Guided, Reflex, Relay
from telos.agent import Agent
from telos.configurator import Configurator
from telos.cost import Box, Effort, Goal, keep_in, keep_out
from telos.errors import UnknownName
from telos.types import Budget, Configuration, Observation, PlanStatus, Task
from tests.plane import MARK, Plane, PlaneModel, Shooting

torch.set_num_threads(1)
ZONE = Box((4, 2), (6, 12))
EVERYWHERE = Box((-1, -1), (99, 99))


def place(states):
    return states[..., :2]


def plan_with(planner, horizon=8, replan_every=2):
    """A configurator that always decides the same."""
    return lambda situation: Configuration(planner, horizon, Budget(), replan_every, "always")


def make(*, planner=None, frames=1, **arguments):
    return Agent(PlaneModel(frames), configurator=plan_with(planner or Shooting()), **arguments)


def live(agent, world, steps):
    """The places visited, [steps, B, 2]."""
    frames, places = world.frames(), []
    for _ in range(steps):
        frames = world.step(agent.act(frames))
        places.append(world.places.copy())
    return np.stack(places)


def depth(places):
    """How deep inside the zone the worst of these places is."""
    return float(-ZONE.signed_distance(torch.as_tensor(places)).min())


def test_it_reaches_goals_given_as_images_each_episode_its_own():
    agent, world = make(), Plane((1, 1), (9, 2), (5, 5))
    goals = Plane((8, 3), (2, 9), (5, 6))
    agent.reach(goals.frames())
    assert np.linalg.norm(live(agent, world, 30)[-1] - goals.places, axis=-1).max() < 0.6


def test_a_robot_loop_is_frames_in_actions_out():
    agent, robot = make(), Plane((1, 1))
    agent.reach(Plane((6, 6)).frames()[0])
    for _ in range(20):
        action = agent.act(robot.frames()[0])
        assert action.shape == (2,)
        robot.step(action)
    assert np.linalg.norm(robot.places - [6, 6]) < 0.6


def test_an_observation_gives_a_tensor_and_frames_give_an_array():
    agent, frames = make(task=Task(Effort())), Plane((1, 1), (2, 2)).frames()
    from_tensor = agent.act(Observation.from_frames(frames))
    assert isinstance(from_tensor, torch.Tensor)
    assert from_tensor.shape == (2, 2)
    assert isinstance(agent.act(frames), np.ndarray)


def test_it_reaches_a_value_of_a_reading():
    agent, world = make(), Plane((1, 1))
    agent.reach_reading("place", [7, 2], effort=0.001)
    assert np.linalg.norm(live(agent, world, 20)[-1] - [7, 2]) < 0.6


def test_it_plans_once_per_period_and_encodes_only_then():
    agent, world = make(task=Task(Effort()), frames=3), Plane((1, 1), (2, 2))
    live(agent, world, 6)
    assert [record.step for record in agent.records] == [0, 2, 4]
    assert agent.model.encoded == 6


def test_episodes_that_are_configured_differently_are_planned_apart():
    asked = []
    near, far = (Configuration(Shooting(problems=asked), horizon, Budget(), 2) for horizon in (3, 8))
    agent = Agent(PlaneModel(), configurator=lambda known: near if known.energy < 1 else far)
    agent.reach(Plane((1, 1)).frames()[0])
    agent.act(Plane((1, 1), (9, 9), (1, 2), (8, 2)).frames())
    assert [record.problems for record in agent.records] == [(0, 2), (1, 3)]
    assert [problem.state.shape[0] for problem in asked] == [2, 2]
    assert asked[1].state[0].tolist() == [9, 9, MARK]


def test_the_next_search_begins_with_the_rest_of_the_plan():
    asked = []
    agent = make(planner=Shooting(problems=asked), task=Task(Goal(torch.tensor([[9.0, 9.0]]))))
    live(agent, Plane((1, 1)), 2)
    plan = agent._memory.pursuits[0].plan
    live(agent, Plane((1, 1)), 1)
    assert asked[0].warm_start is None
    assert torch.equal(asked[1].warm_start[0, :7], plan[1:])
    assert asked[1].warm_start[0, 7].tolist() == [0, 0]


@pytest.mark.parametrize("planner", [Shooting(512), CEM(candidates=128), MPPI(candidates=128)])
def test_guardrails_hold_in_closed_loop_where_without_them_they_do_not(planner):
    goals, start = Plane((9, 6), (9, 8)).frames(), ((1, 6), (2, 9))
    for guardrails, held in (((), False), ((keep_out(place, ZONE, substeps=2, buffer=0.1),), True)):
        agent, world = make(guardrails=guardrails, planner=planner), Plane(*start)
        agent.reach(goals)
        assert (depth(live(agent, world, 40)) <= 0) == held


def test_from_inside_a_zone_it_leaves():
    wide = keep_out(place, Box((3, -50), (11, 50)), substeps=2)
    agent, world = make(guardrails=[wide]), Plane((6, 6))
    agent.reach(Plane((9, 6)).frames())
    places = live(agent, world, 20)
    assert agent.records[0].leaving == (True,)
    assert agent.records[0].status == (PlanStatus.INFEASIBLE,)
    assert (np.diff(places[:3, 0, 0]) < 0).all()
    assert (places[5:, 0, 0] <= 3).all()


def test_where_nothing_is_feasible_it_takes_the_safe_action_says_so_and_resumes():
    agent = make(planner=Shooting(rest=False), safe_action=(0.0, 0.25))
    world, narrow = Plane((1, 1)), keep_in(place, Box((0.9, 0.9), (1.1, 1.1)))
    agent.set_task(Task(Goal(torch.tensor([[9.0, 1.0]])), (narrow,)))
    assert live(agent, world, 2)[-1].tolist() == [[1, 1.5]]
    record = agent.records[0]
    assert (record.safe, record.status) == ((True,), (PlanStatus.INFEASIBLE,))
    assert record.violation[0] > 0
    agent.reach(Plane((8, 1)).frames())
    assert live(agent, world, 8)[-1, 0, 0] > 3
    assert not any(record.safe[0] for record in agent.records[1:])
    assert agent.usage.safe == 1


def test_an_energy_that_is_not_a_number_makes_it_take_the_safe_action():
    agent = make(task=Task(Effort() + Goal(torch.full((1, 2), torch.nan))))
    assert agent.act(Plane((1, 1)).frames()).tolist() == [[0, 0]]
    assert agent.records[0].status == (PlanStatus.NOT_FINITE,)
    assert agent.records[0].safe == (True,)


def test_no_goal_task_or_configurator_loosens_the_guardrails():
    def careless(problem):
        return Shooting(512)(replace(problem, guardrails=()))

    agent = make(planner=careless, guardrails=[keep_out(place, ZONE, substeps=2, buffer=0.1)])
    agent.set_task(Task(Goal(torch.tensor([[5.0, 6.0]])), guardrails=()))
    places = live(agent, Plane((1, 6)), 40)
    assert depth(places) <= 0
    assert agent.usage.safe > 0
    with pytest.raises(AttributeError):
        agent.guardrails = ()
    with pytest.raises(FrozenInstanceError):
        agent.guardrails[0].buffer = -9
    agent.reset(1)
    agent.reach(Plane((5, 6)).frames(), guardrails=())
    assert len(agent.guardrails) == 1


def test_a_guardrail_that_is_added_on_the_way_holds_from_the_next_step():
    agent, world = make(planner=Shooting(512)), Plane((1, 6))
    agent.configurator = plan_with(Shooting(512), replan_every=10)
    agent.reach(Plane((9, 6)).frames())
    live(agent, world, 1)
    agent.add_guardrail(keep_out(place, ZONE, substeps=2, buffer=0.1))
    assert depth(live(agent, world, 20)) <= 0


def test_guardrails_of_a_task_go_with_it():
    agent = make(guardrails=[keep_out(place, ZONE)])
    agent.set_task(Task(Effort(), (keep_in(place, EVERYWHERE),)))
    assert len(agent.guardrails) == 2
    agent.set_task(Task(Effort()))
    assert len(agent.guardrails) == 1


def test_frames_that_a_camera_writes_over_are_kept():
    agent, frame = make(task=Task(Effort()), frames=2), Plane((1, 1)).frames()[0]
    agent.act(frame)
    frame[:] = 200
    agent.act(frame)
    assert agent._memory.recall([0]).pixels[0, :, 0, 0, 0].tolist() == [20, 200]


def test_a_reset_begins_anew_and_keeps_the_task():
    agent = make(task=Task(Effort()))
    live(agent, Plane((1, 1)), 3)
    agent.reset(2)
    assert agent.records == []
    assert live(agent, Plane((1, 1), (2, 2)), 1).shape == (1, 2, 2)
    assert agent.records[0].step == 0


def test_usage_is_averaged_over_plans():
    agent = make(task=Task(Effort()))
    live(agent, Plane((1, 1), (2, 2)), 4)
    assert agent.usage.plans == 4
    assert agent.usage.evaluations == 128 * 8
    assert agent.usage.seconds > 0


def test_a_deadline_reaches_the_planner():
    asked = []
    agent = make(planner=Shooting(problems=asked))
    agent.reach(Plane((1, 1)).frames(), deadline=0.25)
    agent.act(Plane((1, 1)).frames())
    assert asked[0].budget.seconds == 0.25


def test_the_default_configurator_works():
    agent, world = Agent(PlaneModel()), Plane((1, 1))
    agent.reach(Plane((5, 4)).frames())
    assert np.linalg.norm(live(agent, world, 24)[-1] - [5, 4]) < 0.5
    assert isinstance(agent.configurator, Configurator)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (np.zeros((8, 8, 3), np.uint8), r"frames must have \[H, W, C\] = \[4, 4, 3\]"),
        (np.zeros((1, 4, 4, 3), np.float32), "uint8"),
        (np.zeros((4, 4), np.uint8), r"\[B, H, W, C\]"),
        (Observation(torch.zeros(1, 2, 3, 4, 4, dtype=torch.uint8)), "T = 1"),
        (Observation(proprioception=torch.full((1, 1, 2), torch.nan)), "finite"),
    ],
)
def test_a_wrong_observation_says_what_is_wrong(frames, message):
    with pytest.raises(ValueError, match=message):
        make(task=Task(Effort())).act(frames)


def test_without_a_task_it_says_how_to_give_one():
    with pytest.raises(ValueError, match="reach"):
        make().act(Plane((1, 1)).frames())


def test_another_batch_size_needs_a_reset():
    agent = make(task=Task(Effort()))
    agent.act(Plane((1, 1)).frames())
    with pytest.raises(ValueError, match="reset"):
        agent.act(Plane((1, 1), (2, 2)).frames())


def test_goals_for_another_number_of_episodes_are_refused():
    agent = make()
    agent.reach(Plane((1, 1), (2, 2)).frames())
    with pytest.raises(ValueError, match="goal state must have shape"):
        agent.act(Plane((1, 1), (2, 2), (3, 3)).frames())


def test_an_unknown_reading_lists_the_near_ones():
    with pytest.raises(UnknownName, match="Did you mean place"):
        make().reach_reading("plaice", [1, 2])


@pytest.mark.parametrize("action", [(3.0, 0.0), (0.0,), (0.9, 0.9)])
def test_a_safe_action_outside_the_action_space_is_refused(action):
    with pytest.raises(ValueError, match="safe_action"):
        make(safe_action=action)


def test_a_period_longer_than_the_plan_is_refused():
    agent = Agent(PlaneModel(), configurator=plan_with(Shooting(), horizon=2, replan_every=5))
    agent.set_task(Task(Effort()))
    with pytest.raises(ValueError, match="replan_every"):
        agent.act(Plane((1, 1)).frames())


def test_a_planner_that_shows_another_trajectory_than_its_own_is_refused():
    def lies(problem):
        plan = Shooting()(problem)
        return replace(plan, trajectory=replace(plan.trajectory, actions=0.5 + plan.trajectory.actions))

    agent = make(planner=lies, task=Task(Effort()))
    with pytest.raises(ValueError, match="imagined trajectory"):
        agent.act(Plane((1, 1)).frames())


def pushed(tube, *, at=3, steps=12):
    """The steps at which two episodes were planned for, and their records; the first is pushed aside."""
    configuration = Configuration(Shooting(), 8, Budget(), 6, tube=tube)
    agent, world = Agent(PlaneModel(), configurator=lambda known: configuration), Plane((2, 2), (2, 9))
    agent.reach(Plane((9, 2), (9, 9)).frames())
    frames = world.frames()
    for step in range(steps):
        if step == at:
            world.places[0, 1] += 2
            frames = world.frames()
        frames = world.step(agent.act(frames))
    return [(record.step, record.problems, record.early) for record in agent.records], agent


def test_pushed_aside_it_plans_at_once_with_a_tube_and_not_before_its_time_without():
    assert pushed(None)[0] == [(0, (0, 1), (False,) * 2), (6, (0, 1), (False,) * 2)]
    found, agent = pushed(0.5)
    assert found == [
        (0, (0, 1), (False,) * 2),
        (3, (0,), (True,)),
        (6, (1,), (False,)),
        (9, (0,), (False,)),
    ]
    assert agent.records[1].strayed[0] == pytest.approx(2 / 2**0.5, abs=0.1)
    assert agent.records[2].strayed[0] < 0.1


def test_the_configurator_knows_that_a_plan_is_due_before_its_time():
    asked = []

    def note(situation):
        asked.append(situation.early)
        return Configuration(Shooting(), 8, Budget(), 6, tube=0.5)

    agent, world = Agent(PlaneModel(), configurator=note), Plane((2, 2))
    agent.reach(Plane((9, 2)).frames())
    agent.act(world.frames())
    agent.act(Plane((2, 6)).frames())
    assert asked == [False, True]


def test_with_a_tube_it_perceives_once_per_step():
    configuration = Configuration(Shooting(), 8, Budget(), 6, tube=9.0)
    agent = Agent(PlaneModel(), task=Task(Effort()), configurator=lambda known: configuration)
    live(agent, Plane((1, 1), (2, 2)), 7)
    assert [record.step for record in agent.records] == [0, 6]
    assert agent.model.encoded == 14


def test_the_policy_of_a_goal_reaches_the_planner():
    asked = []
    agent, world = make(planner=Shooting(problems=asked)), Plane((1, 1), (9, 9))
    agent.reach(Plane((3, 1), (9, 5)).frames())
    agent.act(world.frames())
    assert asked[0].policy(asked[0].state[:, None, None, :2]).tolist() == [[[1, 0]], [[0, -2]]]
    agent.reach_reading("place", [3.0, 1.0])
    agent.act(world.frames())
    assert asked[1].policy is None


@pytest.mark.parametrize("planner", [Reflex(), Guided(), Relay(((1, Reflex()), (2, Guided())))])
def test_by_its_reflex_it_reaches_goals_inside_its_guardrails(planner):
    configuration = Configuration(planner, 8, Budget(3), 2)
    agent, world = Agent(PlaneModel(), configurator=lambda known: configuration), Plane((1, 1))
    agent.reach(Plane((8, 3)).frames())
    assert np.linalg.norm(live(agent, world, 24)[-1] - [8, 3]) < 0.6
    agent.add_guardrail(keep_out(place, ZONE, substeps=2, buffer=0.1))
    agent.reach(Plane((1, 6)).frames())
    assert depth(live(agent, world, 24)) <= 0
