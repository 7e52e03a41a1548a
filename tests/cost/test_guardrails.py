import numpy as np
import pytest
import torch

from telos.cost import Box, Disc, Readout, keep_in, keep_out
from telos.types import Trajectory
from tests.cost.toy import place, rollout

torch.set_num_threads(1)
ZONE = Box((2, -1), (3, 1))


def walk(*places):
    """The trajectory that visits these places."""
    states = torch.tensor(places)[None, None, None]
    return Trajectory(states, torch.zeros(1, 1, len(places) - 1, 2))


def test_violation_is_the_depth_inside_the_forbidden_region():
    found = keep_out(place, ZONE, substeps=1)(walk((0.0, 0), (2.25, 0), (3.0, 2), (2.5, 0)))
    assert found[0, 0, 0].tolist() == [-2, 0.25, -1, 0.5]


def test_violation_is_the_distance_outside_the_allowed_region():
    found = keep_in(place, Disc((0, 0), 2), substeps=1)(walk((0.0, 0), (5.0, 0), (0, 1)))
    assert found[0, 0, 0].tolist() == [-2, 3, -1]


def test_a_step_across_the_region_violates_although_both_ends_are_outside():
    crossing = walk((1.5, 0.0), (3.5, 0))
    assert keep_out(place, ZONE, substeps=1)(crossing)[0, 0, 0, 1] < 0
    assert keep_out(place, ZONE, substeps=4)(crossing)[0, 0, 0, 1] == 0.5


def test_leaving_the_region_does_not_count_where_the_step_began():
    found = keep_out(place, ZONE, substeps=2)(walk((2.5, 0.0), (4.5, 0)))
    assert found[0, 0, 0].tolist() == [0.5, -0.5]


def test_violation_has_the_gradient_of_finite_differences_through_the_rollout():
    generator = torch.Generator().manual_seed(0)
    state = torch.randn(2, 4, generator=generator, dtype=torch.float64)
    actions = torch.randn(2, 3, 4, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    for guardrail in (keep_out(place, ZONE), keep_in(place, Disc((0.3, 0.1), 1.0))):
        assert torch.autograd.gradcheck(lambda actions, g=guardrail: g(rollout(state, actions)), actions)


def test_true_readings_are_measured_with_the_same_region():
    guardrail = keep_out(place, ZONE)
    readings = np.array([[2.25, 0], [0, 0]], np.float32)
    imagined = walk(*[tuple(reading) for reading in readings.tolist()])
    assert guardrail.violation_of(readings).tolist() == [0.25, -2]
    assert guardrail(imagined)[0, 0, 0, 0] == 0.25


def test_the_guardrail_of_some_problems_is_that_of_all_at_those():
    lows = torch.tensor([[0.0, 0], [1, 1], [-1, 0]])
    guardrail, state = keep_out(place, Box(lows, lows + 1), buffer=0.5), torch.zeros(3, 4)
    trajectory = rollout(state, torch.randn(3, 5, 4, 2, generator=torch.Generator().manual_seed(0)))
    index = torch.tensor([2, 0])
    part = Trajectory(trajectory.states[index], trajectory.actions[index])
    assert torch.equal(guardrail.select(index)(part), guardrail(trajectory)[index])
    assert guardrail.select(index).buffer == 0.5


def test_a_buffer_can_only_grow():
    guardrail = keep_out(place, ZONE, buffer=1).with_buffer(2)
    assert guardrail.buffer == 2
    with pytest.raises(ValueError, match="can only grow"):
        guardrail.with_buffer(1.5)


def test_nan_readings_do_not_count_as_satisfied():
    found = keep_out(place, ZONE)(walk((0.0, 0), (float("nan"), 0)))
    assert not (found[..., 1] <= 0).any()


def test_a_readout_brings_its_name_and_its_size():
    readout = Readout(4, 2, name="agent_xy")
    assert keep_in(readout, ZONE).name == "agent_xy"
    assert str(keep_in(readout, ZONE)).startswith("keep agent_xy in box")
    with pytest.raises(ValueError, match="region must have 2 dimensions"):
        keep_out(readout, Box((0,), (1,)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: keep_out(place, ZONE, buffer=-1), "buffer"),
        (lambda: keep_out(place, ZONE, scale=0), "scale"),
        (lambda: keep_out(place, ZONE, substeps=0), "substeps"),
        (
            lambda: keep_out(lambda states: states, ZONE)(
                rollout(torch.zeros(1, 4), torch.zeros(1, 1, 1, 2))
            ),
            "k",
        ),
    ],
)
def test_a_wrong_guardrail_says_what_is_wrong(make, message):
    with pytest.raises(ValueError, match=message):
        make()
