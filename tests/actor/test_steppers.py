"""Steps of descents, each on functions whose minimum is known."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.actor import LBFGS, Adam
from telos.actor.steppers import Moments, slope_of
from telos.types import ActionSpace

WIDE = ActionSpace((-2.0, -2.0), (2.0, 2.0))
BALL = ActionSpace((-2.0, -2.0), (2.0, 2.0), max_norm=1.0)


def walk(stepper, space, starts, function, steps):
    """The actions that are tried and their losses, `[steps, B, S]`."""
    stride, tried, actions, losses = stepper(space, starts, steps), [], starts, []
    for _ in range(steps):
        leaf = actions.detach().requires_grad_()
        loss = function(leaf)
        stride.judge(leaf.detach(), loss.detach())
        tried.append(leaf.detach())
        losses.append(loss.detach())
        actions = stride.move(loss.detach(), *slope_of(loss, leaf))
    return torch.stack(tried), torch.stack(losses)


def best(stepper, space, starts, function, steps):
    """The best actions that are tried, `[B, S, T, size]`."""
    tried, losses = walk(stepper, space, starts, function, steps)
    index = losses.nan_to_num(torch.inf).argmin(0)
    return tried.gather(0, index[None, ..., None, None].expand(1, *starts.shape))[0]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def rosenbrock(actions):
    x, y = actions[..., 0].flatten(2)[..., 0], actions[..., 1].flatten(2)[..., 0]
    return (1 - x).square() + 100 * (y - x.square()).square()


def test_a_curved_valley_is_followed_to_its_end():
    starts = WIDE.project(random(2, 8, 1, 2) * 1.5)
    _, losses = walk(LBFGS(), WIDE, starts, rosenbrock, 80)
    assert (losses.amin(0) < 1e-8).all()
    assert (walk(Adam(), WIDE, starts, rosenbrock, 80)[1].amin(0) > 1e-6).any()


def test_every_candidate_walks_by_itself_bit_for_bit():
    starts = WIDE.project(random(2, 8, 1, 2) * 1.5)
    together, _ = walk(LBFGS(), WIDE, starts, rosenbrock, 40)
    for problem, candidate in ((0, 0), (1, 5)):
        alone, _ = walk(LBFGS(), WIDE, starts[problem, candidate][None, None], rosenbrock, 40)
        assert torch.equal(alone[:, 0, 0], together[:, problem, candidate])


def test_a_step_that_fails_is_gone_back_from_and_no_more_than_a_few_do_in_a_row():
    starts = WIDE.project(random(1, 16, 1, 2) * 1.5)
    _, losses = walk(LBFGS(backtracks=4), WIDE, starts, rosenbrock, 30)
    failed = losses[1:] > losses.cummin(0).values[:-1]
    assert failed.any()
    assert not failed.unfold(0, 6, 1).all(-1).any()


def test_a_candidate_on_an_edge_that_it_cannot_leave_lets_its_multipliers_change():
    def edge(actions):  # a step along the slope of either side goes up the other
        x, y = actions[:, :, 0].unbind(-1)
        return 10 * x.abs() + 0.1 * y

    space, start = WIDE, torch.tensor([[[[0.0, 0.0]]]], dtype=torch.float64)
    stride, actions, settled = LBFGS(inner=99, backtracks=3)(space, start, 20), start, []
    for _ in range(20):
        leaf = actions.detach().requires_grad_()
        loss = edge(leaf) + 1e-3 * leaf[:, :, 0, 0]  # not quite flat on the edge
        settled.append(stride.judge(leaf.detach(), loss.detach()).item())
        actions = stride.move(loss.detach(), *slope_of(loss, leaf))
    assert settled[0] is False
    assert any(settled)


def test_on_the_norm_ball_it_finds_the_nearest_point_in_another_metric():
    weight = torch.tensor([1.0, 5.0], dtype=torch.float64)
    wanted = torch.tensor([2.0, 1.5], dtype=torch.float64)

    def distance(actions):
        return (weight * (actions - wanted).square()).sum((2, 3))

    found = best(LBFGS(), BALL, torch.zeros(1, 1, 3, 2, dtype=torch.float64), distance, 25)
    low, high = 0.0, 100.0  # of the multiplier m: a = w x / (w + m) has length 1
    for _ in range(80):
        middle = (low + high) / 2
        longer = torch.linalg.vector_norm(weight * wanted / (weight + middle)) > 1
        low, high = (middle, high) if longer else (low, middle)
    torch.testing.assert_close(found, (weight * wanted / (weight + low)).expand_as(found), rtol=0, atol=1e-6)


def test_along_a_linear_slope_it_turns_on_the_ball_to_the_far_end():
    far = torch.tensor([3.0, 4.0], dtype=torch.float64)
    start = torch.tensor([[[[-0.6, -0.79]]]], dtype=torch.float64)
    found = best(LBFGS(), BALL, start, lambda actions: -(actions @ far).sum(2), 30)
    torch.testing.assert_close(found[0, 0, 0], far / 5, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("far", "end"), [((1.0, 1.0), (0.5**0.5, 0.5**0.5)), ((1.0, 0.2), (0.8, 0.6)), ((0.2, 1.0), (0.6, 0.8))]
)
def test_a_corner_of_box_and_ball_is_left_where_it_is_not_the_best(far, end):
    space = ActionSpace((-0.8, -0.8), (0.8, 0.8), max_norm=1.0)
    corner = torch.tensor([[[[0.8, 0.6]]]], dtype=torch.float64)
    away = torch.tensor(far, dtype=torch.float64)
    found = best(LBFGS(), space, corner, lambda actions: -(actions @ away).sum(2), 40)
    torch.testing.assert_close(found[0, 0, 0], torch.tensor(end, dtype=torch.float64), rtol=0, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    low=st.tuples(st.floats(-2, 0), st.floats(-2, 0)),
    width=st.tuples(st.sampled_from([0.0, 0.5, 3.0]), st.sampled_from([0.5, 3.0])),
    max_norm=st.none() | st.floats(1.0, 3.0),
)
def test_where_it_stops_no_way_leads_down_within_the_bounds(seed, low, width, max_norm):
    high = tuple(begin + more for begin, more in zip(low, width, strict=True))
    space = ActionSpace(low, high) if max_norm is None else ActionSpace((-99.0,) * 2, (99.0,) * 2, max_norm)
    mixing, wanted = random(6, 6, seed=seed), 2 * random(6, seed=seed + 1)
    weight = mixing @ mixing.T + 0.3 * torch.eye(6, dtype=torch.float64)

    def energy(actions):
        away = actions.flatten(2) - wanted
        return ((away @ weight) * away).sum(-1) / 2

    found = best(LBFGS(), space, space.project(random(1, 2, 3, 2, seed=seed + 2)), energy, 150)
    slope = (found.flatten(2) - wanted) @ weight
    there = space.project(found - slope.unflatten(-1, (3, 2)))  # a fixed point where the optimum is
    assert (there - found).abs().max() < 1e-4 * (1 + slope.abs().max())


def test_adam_steps_are_as_long_as_the_rate_whatever_the_slope():
    for scale in (1e-3, 1.0, 1e3):
        step = Moments(torch.tensor([2.0, 0.5]))(scale * torch.tensor([1.0, -1.0]))
        torch.testing.assert_close(step, torch.tensor([2.0, -0.5]), rtol=1e-3, atol=0)


def test_a_slope_that_is_not_a_number_is_none():
    x = torch.zeros(2, 1, requires_grad=True)
    (slope,) = slope_of((x.sqrt() * torch.tensor([[0.0], [1.0]])).sum(1, keepdim=True), x)
    assert slope.isfinite().all()


@pytest.mark.parametrize("wrong", [{"memory": 0}, {"backtracks": 0}, {"inner": 0}, {"first": 0.0}])
def test_settings_out_of_range_are_errors(wrong):
    with pytest.raises(ValueError, match="must be at least 1 and first positive"):
        LBFGS(**wrong)
