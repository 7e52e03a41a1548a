import math

import pytest
import torch

from telos.memory import Moment, Pursuit, WorkingMemory
from telos.memory.working import HISTORY
from telos.types import Budget, Configuration, Observation, PlanStatus

torch.set_num_threads(1)


def frame(value, batch=2):
    """An observation whose pixels are `value` for problem 0, `value + 100` for problem 1."""
    pixels = torch.full((batch, 1, 3, 4, 4), value, dtype=torch.uint8)
    pixels += 100 * torch.arange(batch, dtype=torch.uint8).reshape(-1, 1, 1, 1, 1)
    return Observation(pixels, pixels[..., 0, 0].float())


def moment(step=0):
    configuration = Configuration(lambda problem: None, 1, Budget(), 1)  # type: ignore[arg-type,return-value]
    return Moment(step, 1.0, 0.5, PlanStatus.SOLVED, configuration)


def seen(memory, problems=(0,)):
    return memory.recall(problems).pixels[:, :, 0, 0, 0].tolist()


def test_at_the_start_the_first_frame_stands_for_those_before():
    memory = WorkingMemory(2, frames=3)
    memory.observe(frame(7))
    assert seen(memory, (1,)) == [[107, 107, 107]]


def test_recall_gives_the_last_frames_in_order():
    memory = WorkingMemory(2, frames=3)
    for value in range(5):
        memory.observe(frame(value))
    assert seen(memory, (0, 1)) == [[2, 3, 4], [102, 103, 104]]
    assert memory.recall((1,)).proprioception.shape == (1, 3, 3)


def test_frames_that_are_seen_at_once_may_be_apart():
    memory = WorkingMemory(1, frames=3, spacing=2)
    for value, expected in enumerate([[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3], [0, 2, 4], [1, 3, 5]]):
        memory.observe(frame(value, batch=1))
        assert seen(memory) == [expected]


def test_a_problem_is_due_when_it_has_executed_what_was_decided():
    memory = WorkingMemory(2, frames=1)
    memory.pursuits[0].follow(None, torch.tensor([[1.0]]), moment())
    memory.pursuits[1].follow(None, torch.tensor([[2.0], [3.0]]), moment())
    assert memory.due() == []
    assert memory.act().tolist() == [[1], [2]]
    assert memory.due() == [0]
    assert memory.step == 1


def test_what_was_executed_of_a_plan_is_counted_from_its_beginning():
    memory = WorkingMemory(1, frames=1)
    memory.pursuits[0].follow(torch.zeros(4, 1), torch.zeros(2, 1), moment())
    memory.act()
    memory.act()
    assert memory.pursuits[0].executed == 2
    memory.pursuits[0].follow(torch.zeros(4, 1), torch.zeros(2, 1), moment())
    assert memory.pursuits[0].executed == 0


def test_reconsider_keeps_plans_and_drop_task_does_not():
    memory = WorkingMemory(1, frames=1)
    memory.observe(frame(5, batch=1))
    memory.pursuits[0].follow(torch.zeros(4, 1), torch.zeros(2, 1), moment())
    memory.reconsider()
    assert memory.due() == [0]
    assert memory.pursuits[0].plan is not None
    memory.drop_task()
    assert memory.pursuits[0] == Pursuit()
    assert seen(memory) == [[5]]


def test_a_long_history_keeps_its_first_and_latest_moments():
    pursuit = Pursuit()
    for step in range(HISTORY + 10):
        pursuit.follow(None, torch.zeros(1, 1), moment(step))
    assert len(pursuit.history) == HISTORY
    assert pursuit.history[0].step == 0
    assert pursuit.history[-1].step == HISTORY + 9


@pytest.mark.parametrize(
    ("observation", "message"),
    [
        (frame(1, batch=1), "batch must stay the same"),
        (Observation(torch.zeros(2, 2, 3, 4, 4, dtype=torch.uint8)), "T = 1"),
        (Observation(proprioception=torch.zeros(2, 2, 3)), "T = 1"),
    ],
)
def test_a_wrong_observation_says_what_is_wrong(observation, message):
    with pytest.raises(ValueError, match=message):
        WorkingMemory(2, frames=1).observe(observation)


def test_how_far_the_present_has_strayed_is_measured_from_the_nearest_edge_of_the_futures():
    way = torch.tensor([[0.0, 0], [4, 0], [4, 8]])
    futures = torch.stack([way, way + torch.tensor([0.0, 2])])  # [K, T+1, D]: 1 to each side of their mean
    pursuit = Pursuit()
    pursuit.follow(torch.zeros(2, 1), torch.zeros(4, 1), moment(), imagined=futures)
    distances = []
    for present in ([9.0, 9.0], [2.0, 1.0], [4.0, 6.0], [4.0, 5.0]):
        distances.append(pursuit.strayed(torch.tensor(present), block=2))
        pursuit.executed += 1
    assert math.isnan(distances[0])
    assert distances[1:] == pytest.approx([0, 4 / 2**0.5, 0])
    pursuit.follow(None, torch.zeros(4, 1), moment(), imagined=futures)
    pursuit.executed = 1
    assert math.isnan(pursuit.strayed(torch.zeros(2), block=2))
