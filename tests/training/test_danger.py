import numpy as np
import pytest
import torch

from telos.agent import Agent
from telos.cost import Goal, Trial, calibrate
from telos.training import learn_guardrail
from telos.types import Budget, Configuration, Task, Trajectory
from tests.plane import Plane, PlaneModel, Shooting

torch.set_num_threads(1)
CENTRE, RADIUS = np.array([6.0, 6.0]), 2.0


def marked(places):
    """What a person would mark: a round place in the middle."""
    return np.linalg.norm(np.asarray(places) - CENTRE, axis=-1) < RADIUS


@pytest.fixture(scope="module")
def learned():
    places = np.random.default_rng(0).uniform(1, 11, (500, 2))
    frames, bad = Plane(*places).frames(), marked(places)
    return learn_guardrail(PlaneModel(), frames[bad], frames[~bad], steps=400)


def walk(guardrail, seed, *, buffer=0.0, steps=16):
    """An episode from left to right, or bottom to top, and the marks of the places it came to."""
    start, goal = ((2.0, 6.0), (10.5, 6.5)) if seed % 2 else ((6.0, 2.0), (5.5, 10.5))
    agent = Agent(
        PlaneModel(),
        task=Task(Goal(torch.tensor([goal]))),
        guardrails=[guardrail.with_buffer(buffer)],
        configurator=lambda _: Configuration(Shooting(128), 8, Budget(), 2),
        generator=torch.Generator().manual_seed(seed),
    )
    world, marks = Plane(start), []
    frames = world.frames()
    for _ in range(steps):
        frames = world.step(agent.act(frames))
        marks.append(marked(world.places)[0])
    agent.act(frames)
    predicted, observed = agent.predicted_and_perceived(agent.guardrails[0])
    return Trial.of_marks(predicted[:, 0], np.array(marks), observed[:, 0]), world.places[0], goal


def test_it_tells_the_marked_from_the_others_and_says_how_well(learned):
    places = np.random.default_rng(1).uniform(1, 11, (400, 2))
    found = learned.violation_of(torch.from_numpy(places).float()) > 0
    assert (found.numpy() == marked(places)).mean() > 0.95
    assert learned.head.error < 0.1
    assert 350 < learned.head.labels < 450


def test_its_score_is_differentiable_and_rises_towards_the_danger(learned):
    states = torch.tensor([[3.0, 6.0]], requires_grad=True)
    (slope,) = torch.autograd.grad(learned.violation_of(states).sum(), states)
    assert slope[0, 0] > 0
    assert slope[0, 0] > 3 * slope[0, 1].abs()


def test_a_step_across_the_danger_is_seen_although_both_ends_are_safe(learned):
    states = torch.tensor([[2.0, 6.0], [10.0, 6.0]])[None, None, None]
    violation = learned(Trajectory(states, torch.zeros(1, 1, 1, 2)))[0, 0, 0]
    assert (learned.violation_of(states) < 0).all()
    assert violation[1] > 0


def test_an_agent_that_holds_it_calibrated_by_marks_keeps_away(learned):
    start = 0.3
    trials = [walk(learned, seed, buffer=start)[0] for seed in range(12)]
    rail = calibrate(learned.with_buffer(start), trials, alpha=0.1)
    assert rail.calibration.holds
    assert not any(walk(rail, seed, buffer=rail.buffer)[0].true.max() >= 0 for seed in range(100, 104))
    free = Agent(PlaneModel(), configurator=lambda _: Configuration(Shooting(256), 8, Budget(), 2))
    free.set_task(Task(Goal(torch.tensor([[10.5, 6.5]]))))
    world = Plane((2.0, 6.0))
    frames, inside = world.frames(), []
    for _ in range(10):
        frames = world.step(free.act(frames))
        inside.append(marked(world.places)[0])
    assert any(inside)


def test_too_few_examples_are_refused():
    frames = Plane(*[(1.0, 1.0)] * 12).frames()
    with pytest.raises(ValueError, match="dangerous must be at least 10 examples"):
        learn_guardrail(PlaneModel(), frames[:9], frames)
