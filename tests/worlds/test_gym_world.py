import numpy as np
import odd_worlds as odd
import pytest
import torch

from telos.errors import WorldError
from telos.types import ActionSpace
from telos.worlds import GymWorld, make


def _step(world, x, y):
    return world.step(np.tile(np.float32([x, y]), (world.num, 1)))


def test_frames_are_area_averages():
    world = GymWorld(odd.Slider, size=48)
    frame = world.reset([3])[0]
    env = odd.Slider()
    env.reset(seed=6)
    np.testing.assert_allclose(frame, env.render().reshape(48, 2, 48, 2, 3).mean(axis=(1, 3)), atol=0.51)


def test_the_adapter_gives_readings_goals_and_when_they_are_reached():
    world = GymWorld(odd.Slider, 2, adapter=odd.SliderAdapter())
    assert world.episode_steps == 30
    world.reset([1, 2], task=True)
    np.testing.assert_array_equal(world.goal_readings()["place"], np.full((2, 2), 48.0))
    for _ in range(8):
        world.step(np.clip((48.0 - world.read()["place"]) / 10.0, -1.0, 1.0))
    assert world.reached().all()
    _step(world, -1.0, 0.0)
    assert not world.reached().any()


def test_without_an_adapter_a_goal_is_a_frame_that_a_random_policy_reached():
    world = GymWorld(odd.Slider, 4)
    frames = world.reset(range(4), task=True)
    assert (world.goal_frames() != frames).any(axis=(1, 2, 3)).all()
    np.testing.assert_array_equal(frames, world.reset(range(4)))
    assert world.read() == {}


def test_a_goal_stays_where_it_was_drawn_though_the_environment_reuses_its_arrays():
    world = GymWorld(odd.Reusing, 2, adapter=odd.ReusingAdapter(), size=96)
    frames = world.reset([1, 2], task=True)
    pictures, places = world.goal_frames(), world.goal_readings()["place"]
    assert not world.reached().any()
    assert (pictures != frames).any(axis=(1, 2, 3)).all()
    _step(world, 1.0, 0.5)
    np.testing.assert_array_equal(world.goal_frames(), pictures)
    np.testing.assert_array_equal(world.goal_readings()["place"], places)


def test_a_default_goal_is_what_was_seen_before_the_environment_ended():
    class Short(odd.Reusing):
        def step(self, action):
            return (*super().step(action)[:2], True, False, {})

    world = GymWorld(Short, adapter=odd.ReusingAdapter(), size=96)
    frames, place = world.reset([1], task=True), world.read()["place"]
    _step(world, 1.0, 0.0)
    np.testing.assert_array_equal(world.goal_frames(), frames)
    np.testing.assert_array_equal(world.goal_readings()["place"], place)


def test_copies_are_apart_though_the_adapter_answers_with_the_same_arrays():
    world = GymWorld(odd.Slider, 2, adapter=odd.OneArray(), size=96)
    one, two = world.reset([1, 2])
    assert (one != two).any()
    assert (world.read()["place"][0] != world.read()["place"][1]).all()


@pytest.mark.parametrize("split", ["train", "heldout"])
def test_seeds_of_32_bits_are_within_what_older_environments_take(split):
    world = GymWorld(odd.Legacy, 2, adapter=odd.SliderAdapter())
    world.reset([2**32 - 1, 2**31 - 1], split=split)
    assert (world.layouts() % 2 == (split == "heldout")).all()
    assert world.layouts()[0] == 2**33 - 2 + (split == "heldout")
    np.testing.assert_array_equal(*world.read()["place"])  # seeds 2**31 apart


def test_without_an_adapter_reached_compares_pixels():
    world = GymWorld(odd.Slider, 1)
    world.reset([0], task=True)
    assert not world.reached()[0]
    world._frames = world.goal_frames()
    assert world.reached()[0]


def test_a_copy_that_the_environment_ended_freezes():
    world = GymWorld(odd.Slider, 2, adapter=odd.SliderAdapter())
    world.reset([1, 2])
    for _ in range(8):
        last = _step(world, 1.0, 0.0)
    assert world.ended().all()
    np.testing.assert_array_equal(_step(world, -1.0, 0.5), last)
    assert (world.read()["place"][:, 0] == 88.0).all()
    world.reset([1, 2])
    assert not world.ended().any()


def test_out_of_bounds_actions_are_clipped():
    world = GymWorld(odd.Slider, adapter=odd.SliderAdapter())
    world.reset([1])
    before = world.read()["place"]
    _step(world, -0.0, 50.0)
    np.testing.assert_allclose(world.read()["place"] - before, [[0.0, 10.0]], atol=1e-4)


def test_an_adapter_can_bound_the_actions_of_an_unbounded_environment():
    class Bounded(odd.GymAdapter):
        action_bounds = ((-1.0, -1.0), (1.0, 1.0))

    world = GymWorld(odd.Unbounded, adapter=Bounded())
    assert world.action_space.high == (1.0, 1.0)
    assert world.reset([0], task=True).shape == (1, 64, 64, 3)


def test_a_discrete_action_is_one_hot_and_the_environment_gets_its_number():
    world = make("odd_worlds:Discrete", 2)
    assert world.action_space == ActionSpace.discrete(5)
    frames = world.reset([1, 2], task=True)
    stayed = world.step(np.eye(5, dtype=np.float32)[[4, 4]])
    np.testing.assert_array_equal(stayed, frames)
    moved = world.step(np.float32([[0.2, 0.7, 0, 0, 0.1], [0, 0, 0, 0, 1]]))  # the nearest: 1, to the left
    assert (moved != frames).any(axis=(1, 2, 3)).tolist() == [True, False]


def test_an_adapter_says_which_discrete_actions_there_are_and_which_one_rests():
    world = make("odd_worlds:StayFirst")
    frames = world.reset([1], task=True)
    rest = world.action_space.project(torch.zeros(1, 3)).numpy()
    np.testing.assert_array_equal(world.step(rest), frames)
    right = world.step(np.float32([[0, 1, 0]]))
    assert np.argwhere(right[0])[:, 1].mean() > np.argwhere(frames[0])[:, 1].mean()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Many", "must have a Box or a Discrete action space"),
        ("NotThere", r"actions must be different numbers of Discrete\(5, start=3\); got \(0, 3\)"),
        ("Unbounded", "Set GymAdapter.action_bounds"),
        ("Blind", "got NoneType. Override GymAdapter.render"),
        ("FloatFrames", r"got float64 \[96, 96, 3\]"),
        ("GreyFrames", r"got uint8 \[96, 96\]"),
        ("NoRenderMode", "must accept render_mode"),
        ("NotANumber", "finite numbers .* for 'place'"),
        ("OtherName", r"declared readings \(place\); got position"),
        ("Homeless", "set its `env` attribute"),
        ("Half", "must be a telos.types.World; Half lacks"),
        ("OddSettings", "settings must be a mapping .*; got int. Give that attribute another name"),
        ("NOT_CALLABLE", "must be a GymAdapter"),
    ],
)
def test_a_bad_world_is_refused_when_made(name, message):
    with pytest.raises(WorldError, match=message):
        make(f"odd_worlds:{name}")


def test_what_a_world_may_say_beyond_its_contract_is_passed_on():
    world = make("odd_worlds:Tuned", 2)
    assert world.settings == {"speed": 2}
    assert world.ended().tolist() == [True, False]
    plain = make("odd_worlds:Still", 2)
    assert plain.settings == {}
    assert not plain.ended().any()
    with pytest.raises(WorldError, match="ended must return an array of 2 booleans; got float64"):
        make("odd_worlds:NotBooleans", 2).ended()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("ChannelsFirst", r"uint8 frames \[2, 8, 8, 3\].*got uint8 \[2, 3, 8, 8\]"),
        ("WrongCount", r"got uint8 \[3, 8, 8, 3\]"),
        ("WrongType", "got float32"),
        ("NotANumberStill", "2 of them not finite"),
    ],
)
def test_a_world_that_breaks_its_contract_is_told_of_when_it_does(name, message):
    world = make(f"odd_worlds:{name}", 2)

    def use():
        world.reset([0, 1])
        world.read()

    with pytest.raises(WorldError, match=message):
        use()
