import pytest
import torch

from telos.actor import CEM, alternatives, shift
from telos.types import ActionSpace
from tests.actor.point import problem

PLAN = torch.arange(6.0).reshape(1, 3, 2)


def test_executed_blocks_are_dropped_and_the_end_rests():
    assert shift(PLAN, 1).tolist() == [[[2, 3], [4, 5], [0, 0]]]
    assert shift(PLAN, 0).tolist() == PLAN.tolist()


def test_a_plan_that_is_all_executed_leaves_rest():
    assert shift(PLAN, 7).tolist() == [[[0, 0]] * 3]


def test_rest_is_inside_the_action_space():
    assert shift(PLAN, 2, space=ActionSpace((1, -9), (9, 9))).tolist() == [[[4, 5], [1, 0], [1, 0]]]


def test_a_negative_number_of_blocks_is_an_error():
    with pytest.raises(ValueError, match="0 or more; got -1"):
        shift(PLAN, -1)


def test_alternatives_of_a_plan_are_shifted_like_it():
    found = CEM(32, elites=4)(problem([[0.0, 0.0], [1.0, 1.0]], [[4.0, 0.0], [0.0, 0.0]]))
    others = alternatives(found)
    assert others.shape == (2, 3, 6, 2)
    assert torch.equal(others[1, 2], found.alternatives[2].actions[1])
    assert torch.equal(shift(others, 2)[:, 1], shift(found.alternatives[1].actions, 2))
    assert alternatives(found.alternatives[0]) is None
