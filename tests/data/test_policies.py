import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.data import Persistent, Uniform
from telos.types import ActionSpace

DISC = ActionSpace((-2.0, -2.0), (2.0, 2.0), max_norm=2.0)
BOX = ActionSpace((-1.0, 0.0, 3.0), (1.0, 5.0, 3.0))
LINE = ActionSpace((-1.0,), (1.0,))
FIVE = ActionSpace.discrete(5)


@pytest.mark.parametrize("policy", [Persistent(), Persistent(drift=0.0, hold=(1, 1)), Uniform()])
@pytest.mark.parametrize("space", [DISC, BOX, LINE, FIVE])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32), length=st.integers(1, 90))
def test_actions_are_inside_the_space_and_repeat(policy, space, seed, length):
    actions = policy(space, length, np.random.default_rng(seed))
    assert actions.shape == (length, space.dimension)
    assert actions.dtype == np.float32
    assert (actions >= np.array(space.low) - 1e-6).all()
    assert (actions <= np.array(space.high) + 1e-6).all()
    if space.max_norm is not None:
        assert np.linalg.norm(actions, axis=1).max() <= space.max_norm + 1e-5
    np.testing.assert_array_equal(actions, policy(space, length, np.random.default_rng(seed)))


def test_without_drift_actions_are_held_between_the_shortest_and_longest_time():
    actions = Persistent(hold=(3, 9), drift=0.0)(DISC, 5000, np.random.default_rng(0))
    changes = np.flatnonzero((np.diff(actions, axis=0) != 0).any(axis=1))
    times = np.diff(changes)
    assert times.min() == 3
    assert times.max() == 9


def test_magnitudes_reach_from_pauses_to_the_bound_in_every_direction():
    policy = Persistent(hold=(4, 4), pause=0.25, full=0.5)
    actions = policy(DISC, 20_000, np.random.default_rng(0))
    norm = np.linalg.norm(actions, axis=1)
    assert (norm > 1.999).mean() == pytest.approx(0.5, abs=0.03)
    assert (norm <= 0.2).mean() == pytest.approx(0.25, abs=0.03)
    quarter = np.arctan2(actions[:, 1], actions[:, 0]) // (np.pi / 2)
    assert np.unique(quarter, return_counts=True)[1].min() > 4000


@pytest.mark.parametrize("policy", [Persistent(hold=(3, 9), drift=0.0), Uniform()])
def test_every_discrete_action_is_as_likely(policy):
    actions = policy(FIVE, 20_000, np.random.default_rng(0))
    assert ((actions == 0) | (actions == 1)).all()
    assert (actions.sum(1) == 1).all()
    np.testing.assert_allclose(actions.mean(0), 0.2, atol=0.04)


def test_discrete_actions_are_held():
    actions = Persistent(hold=(3, 9), drift=0.0)(FIVE, 5000, np.random.default_rng(0)).argmax(1)
    assert np.diff(np.flatnonzero(np.diff(actions))).min() >= 3


def test_drift_turns_a_held_direction_smoothly():
    actions = Persistent(hold=(50, 50), pause=0.0, full=1.0, drift=0.1)(DISC, 5000, np.random.default_rng(0))
    angle = np.unwrap(np.arctan2(actions[:, 1], actions[:, 0]).reshape(100, 50), axis=1)
    assert np.diff(angle, axis=1).std() == pytest.approx(0.1, rel=0.25)


@pytest.mark.parametrize(
    "fields", [{"hold": (0, 4)}, {"hold": (5, 4)}, {"pause": 0.8, "full": 0.3}, {"drift": -1.0}]
)
def test_settings_that_make_no_sense_are_refused(fields):
    with pytest.raises(ValueError, match=r"must (be|not be)"):
        Persistent(**fields)


def test_a_share_of_the_bounds_scales_every_action():
    whole, tenth = (Persistent(share=share)(DISC, 50, np.random.default_rng(0)) for share in (1.0, 0.1))
    np.testing.assert_allclose(tenth, 0.1 * whole, rtol=1e-5)


def test_a_share_draws_the_bounds_in_towards_their_centre():
    space = ActionSpace((-1.0, 0.0), (1.0, 4.0), max_norm=2.0).within(0.5)
    assert (space.low, space.high, space.max_norm) == ((-0.5, 1.0), (0.5, 3.0), 1.0)


@pytest.mark.parametrize("share", [0.0, -0.1, 1.1, float("nan")])
def test_a_share_is_above_nothing_and_at_most_all(share):
    with pytest.raises(ValueError, match="share must be above 0"):
        BOX.within(share)
