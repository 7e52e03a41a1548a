"""Discrete action spaces: one-hot vectors."""

import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.configuration import from_dict, to_dict
from telos.types import ActionSpace


@given(n=st.integers(1, 6), block=st.integers(1, 3), held=st.booleans(), seed=st.integers(0, 2**32))
def test_projecting_gives_the_nearest_one_hot_action(n, block, held, seed):
    space = ActionSpace.discrete(n, block=block, held=held)
    values = torch.randn(2, space.size, generator=torch.Generator().manual_seed(seed))
    projected = space.project(values).unflatten(-1, (-1, n))
    away = (values.unflatten(-1, (-1, 1, n)) - torch.eye(n)).norm(dim=-1)  # to each action
    assert torch.equal(projected, torch.eye(n)[away.argmin(-1)])
    assert torch.equal(space.project(projected.flatten(1)), projected.flatten(1))


def test_of_equally_near_actions_the_first_is_taken_and_nan_stays():
    space = ActionSpace.discrete(3)
    values = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0], [0.0, torch.nan, 0.0]])
    projected = space.project(values)
    assert projected[:2].tolist() == [[1, 0, 0], [0, 1, 0]]
    assert projected[2].isnan().all()
    assert space.project(space.centre(values)).tolist() == [1, 0, 0]


def test_held_actions_are_repeated_and_free_ones_are_not():
    held, free = ActionSpace.discrete(2, block=3), ActionSpace.discrete(2, block=3, held=False)
    assert (held.dimension, held.size, free.size) == (2, 2, 6)
    assert held.expand(torch.eye(2)).argmax(-1).tolist() == [0, 0, 0, 1, 1, 1]
    assert held.flatten(torch.eye(2)[1:]).tolist() == [[0, 1, 0, 1, 0, 1]]
    assert free.expand(torch.tensor([[0.0, 1, 1, 0, 0, 1]])).argmax(-1).tolist() == [1, 0, 1]
    low, high = free.bounds(torch.zeros(()))
    assert (low.tolist(), high.tolist()) == ([0] * 6, [1] * 6)


def test_it_goes_through_json_and_what_was_written_before_it_existed_has_bounds():
    space = ActionSpace.discrete(4, block=2)
    assert from_dict(ActionSpace, json.loads(json.dumps(to_dict(space)))) == space
    old = {"low": [-1.0], "high": [1.0], "max_norm": None, "block": 4, "held": True}
    assert from_dict(ActionSpace, old) == ActionSpace((-1.0,), (1.0,), block=4)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="n must be at least 1, the number of actions; got 0"):
        ActionSpace.discrete(0)
    with pytest.raises(ValueError, match=r"bounds 0 and 1 and no max_norm; got.*Use ActionSpace.discrete"):
        ActionSpace((-1.0,), (1.0,), one_hot=True)
    with pytest.raises(ValueError, match="share must be 1 for discrete actions"):
        ActionSpace.discrete(3).within(0.5)
    assert ActionSpace.discrete(3).within(1) == ActionSpace.discrete(3)


@settings(deadline=None)
@given(
    low=st.tuples(st.floats(-2, 1), st.floats(-2, 1)),
    width=st.tuples(st.floats(0, 2), st.floats(0, 2)),
    room=st.floats(0.01, 2),
    seed=st.integers(0, 2**32),
)
def test_projecting_stays_inside_any_box_and_norm_ball_and_leaves_alone_what_is_inside(
    low, width, room, seed
):
    high = tuple(each + more for each, more in zip(low, width, strict=True))
    least = torch.tensor([min(max(0.0, a), b) for a, b in zip(low, high, strict=True)])
    space = ActionSpace(low, high, max_norm=float(least.norm()) + room)
    values = 3 * torch.randn(32, 2, generator=torch.Generator().manual_seed(seed))
    found = space.project(values)
    lowest, highest = space.bounds(found)
    assert ((found >= lowest - 1e-5) & (found <= highest + 1e-5)).all()
    assert (found.norm(dim=-1) <= space.max_norm + 1e-5).all()
    torch.testing.assert_close(space.project(found), found)
    torch.testing.assert_close(space.project(torch.zeros(2)), least)


@pytest.mark.parametrize("max_norm", [float("inf"), float("nan"), 0.5])
def test_a_norm_that_bounds_nothing_or_allows_nothing_is_an_error(max_norm):
    with pytest.raises(ValueError, match="max_norm must"):
        ActionSpace((1.0,), (2.0,), max_norm=max_norm)
