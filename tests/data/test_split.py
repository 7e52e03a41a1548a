import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.data.split import split_groups

BOTH_SIDES = [1, 2]  # of 0.3: one layout whose hash holds it out and one that it does not
layouts = st.lists(st.integers(-1, 40), min_size=1, max_size=60)


@settings(deadline=None)
@given(layouts, st.floats(0, 0.9))
def test_every_episode_is_on_one_side_and_no_layout_on_both(values, heldout):
    train, out = split_groups(np.array(values), heldout)
    assert sorted([*train, *out]) == list(range(len(values)))
    known = {value for value in values if value != -1}
    if len(set(values)) > 1:
        sides = {values[i] for i in train} & {values[i] for i in out}
        assert not sides & known


@settings(deadline=None)
@given(layouts, layouts)
def test_appending_does_not_move_an_episode(values, more):
    values = [*BOTH_SIDES, *values]
    train, out = split_groups(np.array(values), 0.3)
    train_more, out_more = split_groups(np.array([*values, *more]), 0.3)
    assert set(train) <= set(train_more)
    assert set(out) <= set(out_more)


def test_the_first_episode_of_a_second_layout_may_move_others():
    alone, joined = np.full(20, 7), np.array([*[7] * 20, 8])
    assert 0 < len(split_groups(alone, 0.3)[1]) < 20  # by episode
    assert {len(split_groups(joined, 0.3)[1])} <= {0, 1, 20, 21}  # by layout


def test_where_no_hash_is_small_enough_a_smaller_one_takes_the_place_of_the_smallest():
    held = [set(split_groups(np.arange(count), 1e-9)[1]) for count in range(2, 40)]
    assert all(len(each) == 1 for each in held)
    assert len(set.union(*held)) > 1


@pytest.mark.parametrize("values", [np.arange(2000), np.full(2000, -1), np.full(2000, 7)])
def test_about_the_asked_part_is_held_out(values):
    assert len(split_groups(values, 0.1)[1]) == pytest.approx(200, abs=45)


def test_few_layouts_still_give_one_held_out():
    values = np.array([1, 2] * 5)
    train, out = split_groups(values, 0.001)
    assert len(train) == len(out) == 5


def test_nothing_held_out_when_nothing_is_asked():
    assert len(split_groups(np.arange(50), 0.0)[1]) == 0


@pytest.mark.parametrize("heldout", [-0.1, 1.0])
def test_a_part_outside_the_range_is_refused(heldout):
    with pytest.raises(ValueError, match="heldout must be at least 0 and below 1"):
        split_groups(np.arange(5), heldout)
