"""What tries to get round an agent's guardrails, and does not."""

import warnings
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch

from telos.actor import CEM
from telos.agent import Agent
from telos.cost import Box, Calibrated, Disc, Effort, Goal, Trial, Union, calibrate, keep_in, keep_out
from telos.errors import DriftWarning
from telos.types import Budget, Configuration, Level, PlanStatus, Task, Trajectory
from tests.plane import Plane, PlaneModel, Shooting

torch.set_num_threads(1)
ZONE = Box((4, 2), (6, 12))
ACROSS = Task(Goal(torch.tensor([[9.0, 6.0]])))
BESIDE = Task(Goal(torch.tensor([[1.0, 9.0]])))


def place(states):
    return states[..., :2]


def always(planner, replan_every=2):
    return lambda situation: Configuration(planner, 8, Budget(), replan_every, "always")


def guarded(planner=None, *, zone=ZONE, guardrail=None, task=ACROSS, replan_every=2, **arguments):
    """An agent that must not enter the zone between it and its goal."""
    guardrail = guardrail or keep_out(place, zone, buffer=0.1)
    return Agent(
        PlaneModel(),
        task=task,
        guardrails=[guardrail],
        configurator=always(planner or Shooting(512), replan_every),
        **arguments,
    )


def deepest(agent, *starts, steps=30, world=None):
    """How deep inside the zone an agent that begins there ever is; all the way, not at the steps alone."""
    world = world or Plane(*(starts or ((1, 6),)))
    frames, places = world.frames(), [world.places.copy()]
    for _ in range(steps):
        frames = world.step(agent.act(frames))
        places.append(world.places.copy())
    way = np.stack(places)
    points = way[:-1, None] + np.linspace(0, 1, 9)[None, :, None, None] * (way[1:] - way[:-1])[:, None]
    return float(-ZONE.signed_distance(torch.from_numpy(points).double()).min())


def test_the_goal_lies_behind_the_zone():
    agent = Agent(PlaneModel(), task=ACROSS, configurator=always(Shooting(512)))
    assert deepest(agent) > 0.5
    assert deepest(guarded()) <= 0


def test_a_planner_that_ignores_them_is_not_obeyed():
    def careless(problem):
        return Shooting(512)(replace(problem, guardrails=()))

    agent = guarded(careless)
    assert deepest(agent) <= 0
    assert agent.usage.safe > 0


def test_a_planner_that_shows_states_its_actions_do_not_lead_to_is_not_believed():
    def liar(problem):
        plan = Shooting(512)(replace(problem, guardrails=()))
        elsewhere = torch.zeros_like(plan.trajectory.states)
        return replace(plan, trajectory=replace(plan.trajectory, states=elsewhere))

    assert deepest(guarded(liar)) <= 0


def test_a_planner_that_moves_the_present_it_was_given_fools_itself_only():
    def mover(problem):
        problem.state[:, :2] = torch.tensor([1.0, 50.0])
        return Shooting(512)(problem)

    assert deepest(guarded(mover)) <= 0


def test_a_planner_whose_actions_are_out_of_bounds_is_judged_by_what_is_executed():
    def wild(problem):
        plan = Shooting(512)(replace(problem, guardrails=()))
        actions = 40 * plan.actions
        return replace(plan, actions=actions, trajectory=Trajectory(plan.trajectory.states, actions[:, None]))

    assert deepest(guarded(wild)) <= 0


def test_a_cost_that_changes_what_it_is_shown_fools_nobody():
    class Blinding(Effort):
        def __call__(self, trajectory):
            energy = ACROSS.cost(trajectory)
            trajectory.states[..., :2] = 50.0
            return energy

    assert deepest(guarded(task=Task(Blinding()))) <= 0


def test_a_cost_of_minus_infinity_buys_nothing():
    class Bribe(Effort):
        def __call__(self, trajectory):
            inside = ZONE.signed_distance(place(trajectory.states)).amin(-1) < 0
            return torch.where(inside, -1e30, ACROSS.cost(trajectory))

    assert deepest(guarded(task=Task(Bribe()))) <= 0


def test_a_tasks_guardrails_add_to_them_whatever_they_say():
    class Lenient:
        scale, buffer, name = 1e-9, -1e9, "place"

        def __call__(self, trajectory):
            return torch.full(trajectory.states.shape[:4], -1e9)

        def select(self, index):
            return self

    agent = guarded(task=replace(ACROSS, guardrails=(Lenient(),)))
    assert deepest(agent) <= 0
    agent.set_task(replace(ACROSS, guardrails=()))
    agent.reset(1)
    assert deepest(agent) <= 0


def test_guardrails_taken_from_a_task_while_it_runs_stay():
    given = [keep_out(place, ZONE, buffer=0.1)]
    agent = Agent(PlaneModel(), task=Task(ACROSS.cost, given), configurator=always(Shooting(512)))
    given.clear()
    assert deepest(agent) <= 0


def test_what_was_passed_in_cannot_be_moved_afterwards():
    center, radius = torch.tensor([[5.0, 6.0]]), torch.tensor([1.5])
    disc, mine = Disc(center, radius), []
    mine.append(keep_out(place, Union(disc, ZONE), buffer=0.1))
    agent = Agent(PlaneModel(), task=ACROSS, guardrails=mine, configurator=always(Shooting(512)))
    mine.clear()
    for tensor in (center, radius, disc.center, disc.radius, ZONE.low, ZONE.high):
        tensor.fill_(99.0)
    assert (disc.center.tolist(), ZONE.low.tolist()) == ([[5, 6]], [4, 2])
    assert deepest(agent) <= 0


def test_there_is_no_name_to_loosen_them_by():
    agent = guarded()
    held = agent.guardrails[0]
    for change in (
        lambda: setattr(agent, "guardrails", ()),
        lambda: setattr(held, "buffer", -9.0),
        lambda: setattr(held, "region", Disc((50, 50), 1)),
        lambda: setattr(held.region, "_low", torch.zeros(2)),
        lambda: agent.guardrails.clear(),
    ):
        with pytest.raises((AttributeError, FrozenInstanceError)):
            change()
    with pytest.raises(ValueError, match="can only grow"):
        held.with_buffer(0.0)
    assert held.select(torch.tensor([0])).buffer == 0.1


def test_a_configurator_may_plan_as_it_likes_inside_them():
    def reckless(situation):
        return Configuration(Shooting(512), 1, Budget(), 1 + situation.step % 2, f"{situation.excess}")

    agent = guarded()
    agent.configurator = reckless
    assert deepest(agent) <= 0


def test_a_guardrail_that_says_nothing_sensible_makes_it_take_the_safe_action():
    broken = keep_out(lambda states: place(states) * torch.nan, ZONE)
    agent = guarded(safe_action=(0.0, 0.25))
    agent.add_guardrail(broken)
    assert agent.act(Plane((1, 6)).frames()).tolist() == [[0, 0.25]]
    assert agent.records[-1].safe == (True,)


def test_several_are_held_at_once_and_in_episodes_of_their_own():
    agent = guarded(task=Task(Goal(torch.tensor([[9.0, 6.0], [9.0, 3.0]]))))
    agent.add_guardrail(keep_in(place, Box((0, 0.5), (12, 9)), buffer=0.1))
    agent.add_guardrail(keep_out(place, Disc(torch.tensor([[5.0, 1.0], [11.0, 11.0]]), torch.ones(2))))
    world = Plane((1, 6), (1, 3))
    assert deepest(agent, world=world) <= 0
    assert (world.places[:, 1] >= 0.5).all()
    assert world.places[0, 0] < 4  # its disc and the border close the only way
    assert np.linalg.norm(world.places[1] - [9, 3]) < 0.6


def test_from_inside_it_leaves_by_the_shortest_way_although_the_goal_is_on_the_other_side():
    wide = Box((3, -50), (11, 50))
    agent, world = guarded(zone=wide), Plane((4.5, 6))
    frames = world.frames()
    for _ in range(2):
        frames = world.step(agent.act(frames))
    assert agent.records[0].leaving == (True,)
    assert world.places[0, 0] < 3.0


def test_inside_the_buffer_but_not_the_zone_it_does_not_freeze():
    agent, world = guarded(task=BESIDE), Plane((3.95, 6))
    assert deepest(agent, world=world, steps=20) <= 0
    assert not any(record.safe[0] for record in agent.records)
    assert np.linalg.norm(world.places[0] - [1, 9]) < 0.6


def test_after_the_safe_action_it_resumes():
    held = []

    def at_first_nothing(problem):
        plan = Shooting(512)(problem)
        held.append(1)
        return replace(plan, status=(PlanStatus.INFEASIBLE,)) if len(held) < 3 else plan

    agent, world = guarded(at_first_nothing, task=BESIDE, safe_action=(0.25, 0.0)), Plane((1, 6))
    assert deepest(agent, world=world, steps=4) <= 0
    assert world.places.tolist() == [[2, 6]]
    assert deepest(agent, world=world, steps=20) <= 0
    assert [record.safe for record in agent.records[:3]] == [(True,), (True,), (False,)]
    assert np.linalg.norm(world.places[0] - [1, 9]) < 0.6


class Windy(Plane):
    """Whatever it does it is blown towards the zone."""

    wind = 0.3

    def step(self, actions):
        return super().step(actions + np.array([self.wind, 0.0], np.float32))


def test_a_plan_that_comes_nearer_than_it_predicted_is_made_anew():
    agent, world = guarded(replan_every=10), Windy((1, 6))
    deepest(agent, world=world, steps=10)
    assert 0 < agent.records[1].step < 10
    calm = guarded(replan_every=10)
    deepest(calm, (1, 6), steps=10)
    assert [record.step for record in calm.records] == [0]


def calibrated(agent, runs=40):
    """The agent's zone, calibrated on quiet episodes of it."""
    random, trials = np.random.default_rng(0), []
    for _ in range(runs):
        agent.reset(1)
        deepest(agent, (1, random.uniform(3, 9)), steps=12)
        predicted, observed = agent.predicted_and_perceived(agent.guardrails[0])
        trials.append(Trial(predicted[:, 0], observed[:, 0], observed[:, 0]))
    return calibrate(keep_out(place, ZONE, buffer=0.1), trials, alpha=0.1, on={"world": "plane"})


def test_it_warns_once_when_the_world_is_not_as_calibrated_and_is_quiet_while_it_is():
    rail = calibrated(guarded())
    agent = Agent(PlaneModel(), task=ACROSS, guardrails=[rail], configurator=always(Shooting(512)))
    for _ in range(10):
        agent.reset(1)
        deepest(agent, steps=12)
    assert agent.drifts == ()
    with warnings.catch_warnings(record=True, category=DriftWarning) as caught:
        warnings.simplefilter("always")
        for _ in range(10):
            agent.reset(1)
            deepest(agent, world=Windy((1, 6)), steps=12)
    assert len(caught) == len(agent.drifts) == 1
    drift = agent.drifts[0]
    assert drift.score > drift.band
    assert (drift.rate, agent.guardrails[0].calibration.on) == (0.1, {"world": "plane"})


def test_a_calibrated_guardrail_is_held_with_its_buffer():
    rail = Calibrated(keep_out(place, ZONE), replace(calibrated(guarded()).calibration, held=0.8))
    agent = Agent(PlaneModel(), task=ACROSS, guardrails=[rail], configurator=always(Shooting(512)))
    assert deepest(agent) <= -0.7


def test_the_level_that_acts_is_the_agents_own():
    def other(problem):
        def nowhere(state, actions):
            still = state[:, None, None, None, :2].expand(-1, actions.shape[1], 1, actions.shape[2] + 1, -1)
            return Trajectory(still.clone(), actions)

        return Shooting(512)(replace(problem, levels=(Level(nowhere, problem.level.action_space),)))

    assert deepest(guarded(other)) <= 0


def test_a_planner_that_strips_the_problem_of_its_guardrails_is_judged_by_them():
    def strip(problem):
        object.__setattr__(problem, "guardrails", ())
        return Shooting(512)(problem)

    assert deepest(guarded(strip)) <= 0


def test_a_task_whose_own_guardrail_is_violated_is_no_reason_to_break_the_agents():
    beyond = keep_in(place, Box((9, 5), (10, 7)), scale=1e-3)
    agent = guarded(task=replace(ACROSS, guardrails=(beyond,)))
    assert deepest(agent) <= 0
    assert agent.usage.safe > 0


def test_a_cost_that_changes_which_problems_it_is_asked_about_changes_its_own():
    class Shuffling(Effort):
        def __call__(self, trajectory):
            return ACROSS.cost(trajectory)

        def select(self, index):
            index.zero_()
            return self

    zones = Box(torch.tensor([[0.0, 0], [4, 2]]), torch.tensor([[0.1, 0.1], [6, 12]]))
    agent = guarded(zone=zones, task=Task(Shuffling()))
    every = iter(range(99))
    agent.configurator = lambda situation: always(Shooting(512), 2 + 2 * (next(every) % 2))(situation)
    world = Plane((1, 6), (1, 6))
    frames = world.frames()
    for _ in range(30):
        frames = world.step(agent.act(frames))
        assert not (4 < world.places[1, 0] < 6)


def test_a_cost_that_moves_the_present_it_is_shown_does_not_put_it_beyond_a_guardrail():
    class Moving(Effort):
        def __call__(self, trajectory):
            trajectory.states[..., :2] = torch.tensor([5.0, 6.0])
            return super().__call__(trajectory)

    seen = []
    agent = guarded(task=Task(Moving()))
    agent.configurator = lambda situation: seen.append(situation) or always(Shooting(512))(situation)
    deepest(agent, steps=4)
    assert [situation.excess for situation in seen] == [0, 0]


def test_a_tasks_guardrail_that_changes_what_it_is_shown_leaves_the_watch_alone():
    class Moving:
        scale, buffer = 1.0, 0.0

        def __call__(self, trajectory):
            trajectory.states[..., :2] = 50.0
            return torch.full(trajectory.states.shape[:4], -1.0)

        def select(self, index):
            return self

    agent = guarded(task=replace(BESIDE, guardrails=(Moving(),)))
    deepest(agent, steps=4)
    predicted, perceived = agent.predicted_and_perceived(agent.guardrails[0])
    torch.testing.assert_close(predicted, perceived, rtol=0, atol=0.1)


def test_what_counts_as_rounding_does_not_grow_with_the_scale():
    def careless(problem):
        return Shooting(512)(replace(problem, guardrails=()))

    agent = guarded(careless, guardrail=keep_out(place, ZONE, buffer=0.1, scale=1e6))
    assert deepest(agent) <= 0


def test_the_safe_action_that_was_passed_in_cannot_be_moved_afterwards():
    given = torch.tensor([0.0, 0.25])
    agent = guarded(lambda p: replace(Shooting()(p), status=(PlanStatus.INFEASIBLE,)), safe_action=given)
    given.fill_(77.0)
    assert agent.act(Plane((1, 6)).frames()).tolist() == [[0, 0.25]]


def test_a_guardrail_may_ask_about_the_actions():
    class Calm:
        scale, buffer = 1.0, 0.0

        def __call__(self, trajectory):
            push = trajectory.actions[..., 1].abs() - 0.2
            push = torch.cat([push[..., :1], push], -1)
            return push[:, :, None].expand(trajectory.states.shape[:4])

        def select(self, index):
            return self

    agent, world = guarded(task=BESIDE, guardrail=Calm()), Plane((1, 6))
    frames = world.frames()
    for _ in range(8):
        action = agent.act(frames)
        assert abs(action[0, 1]) <= 0.2 + 1e-4
        frames = world.step(action)
    assert world.places[0, 1] > 6.5


def test_a_plan_of_another_precision_is_a_plan():
    def precise(problem):
        plan = Shooting(512)(problem)
        return replace(plan, actions=plan.actions.double())

    assert deepest(guarded(precise)) <= 0


@pytest.mark.parametrize("planner", [Shooting(2048), CEM(candidates=256)])
def test_between_two_zones_narrower_than_their_buffers_it_crosses_neither(planner):
    """Staying violates both buffers for ever, a dash through a zone neither for long."""
    zones = (Box((4, -50), (6, 50)), Box((-50, -50), (2, 50)))
    agent = Agent(
        PlaneModel(),
        task=Task(Goal(torch.tensor([[3.0, 6.0]]))),
        guardrails=[keep_out(place, zone, buffer=1.5) for zone in zones],
        configurator=lambda situation: Configuration(planner, 24, Budget(), 2),
    )
    world = Plane((3, 6))
    frames = world.frames()
    for _ in range(30):
        frames = world.step(agent.act(frames))
        assert 2 <= world.places[0, 0] <= 4
    assert not any(record.leaving[0] and record.violation[0] > 1e-3 for record in agent.records)


def test_from_a_buffer_a_straight_dash_through_the_zone_is_not_executed():
    def dash(problem):
        plan = Shooting(4)(problem)
        actions = torch.zeros_like(plan.actions)
        actions[..., 0] = 1.0
        trajectory = problem.level.rollout(problem.state, actions[:, None])
        return replace(plan, actions=actions, trajectory=trajectory)

    agent = Agent(
        PlaneModel(),
        task=ACROSS,
        guardrails=[keep_out(place, ZONE, buffer=1.0)],
        configurator=lambda situation: Configuration(dash, 24, Budget(), 2),
    )
    assert deepest(agent, (3.5, 6), steps=10) <= 0
    assert all(record.safe[0] for record in agent.records)


def test_what_is_held_by_agent_and_task_is_watched_once():
    agent = guarded()
    zone = agent.guardrails[0]
    agent.set_task(replace(ACROSS, guardrails=(zone,)))
    deepest(agent, steps=5)
    predicted, observed = agent.predicted_and_perceived(zone)
    assert predicted.shape == observed.shape == (4, 1)
    torch.testing.assert_close(predicted, observed, atol=0.1, rtol=0)  # frames have few levels


def test_a_task_without_guardrails_between_two_with_is_no_step_of_theirs():
    agent, world, zone = guarded(), Plane((1, 6)), keep_out(place, ZONE)
    agent = Agent(PlaneModel(), configurator=always(Shooting(512)))
    agent.set_task(replace(BESIDE, guardrails=(zone,)))
    deepest(agent, world=world, steps=4)
    agent.set_task(Task(Goal(torch.tensor([[9.0, 9.0]]))))
    deepest(agent, world=world, steps=20)  # straight through the zone, which is not held
    agent.set_task(replace(Task(Goal(torch.tensor([[11.0, 9.0]]))), guardrails=(zone,)))
    deepest(agent, world=world, steps=4)
    predicted, observed = agent.predicted_and_perceived(zone)
    assert len(observed) == 3 + 3
    assert (observed < 0).all()
    torch.testing.assert_close(predicted, observed, atol=0.1, rtol=0)  # frames have few levels


def test_what_is_looked_at_between_plans_is_in_what_planning_costs():
    agent, world = guarded(replan_every=8), Plane((1, 6))
    deepest(agent, world=world, steps=3)
    assert agent._memory is not None
    assert agent._memory.pursuits[0].watching > 0
