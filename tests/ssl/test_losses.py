"""Each loss against an independent reference, written from its formula."""

import numpy as np
import pytest
import torch

from telos import ssl


@pytest.fixture
def states():
    scale = torch.linspace(0.1, 2.0, 5)
    return torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0)).mul(scale).double()


def test_temporal_similarity_compares_neighbours_in_time_only(states):
    steps = [((states[b, t + 1] - states[b, t]) ** 2).mean() for b in range(6) for t in range(3)]
    assert float(ssl.temporal_similarity_loss(states)) == pytest.approx(float(sum(steps)) / 18, rel=1e-9)


def test_prediction_and_inverse_are_mean_absolute_errors(states):
    other = states.flip(0)
    expected = np.mean(np.abs(states.numpy() - other.numpy()))
    assert float(ssl.prediction_loss(states, other)) == pytest.approx(expected, rel=1e-9)
    assert float(ssl.inverse_dynamics_loss(states, other)) == pytest.approx(expected, rel=1e-9)


def test_relative_prediction_is_the_log_of_the_error_in_units_of_motion(states):
    other = states.flip(0).numpy()
    motion = np.mean([np.abs(other[b, t] - other[b].mean(0)).mean() for b in range(6) for t in range(4)])
    expected = np.log(np.abs(states.numpy() - other).mean() / motion + 0.01)
    found = ssl.relative_prediction_loss(states, states.flip(0), epsilon=0.01)
    assert float(found) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_relative_prediction_does_not_fall_when_states_shrink(states, scale):
    other = states.flip(0)
    whole, scaled = (ssl.relative_prediction_loss(each * states, each * other) for each in (1.0, scale))
    assert float(scaled) == pytest.approx(float(whole), rel=1e-9)


def test_relative_prediction_levels_off_where_the_error_is_small(states):
    assert float(ssl.relative_prediction_loss(states, states)) == pytest.approx(np.log(1e-3))


def test_relative_prediction_of_states_that_do_not_move_has_a_finite_gradient():
    still = torch.zeros(4, 3, 2, requires_grad=True)
    ssl.relative_prediction_loss(still + 1.0, still).backward()
    assert torch.isfinite(still.grad).all()


def test_relative_prediction_has_no_unit_where_a_window_is_one_state():
    alone = torch.ones(4, 1, 3)
    with pytest.raises(ValueError, match=r"2 time steps or more.*around_window_mean=False"):
        ssl.relative_prediction_loss(alone, 2 * alone)


def test_relative_prediction_may_count_what_differs_between_windows() -> None:
    states = torch.tensor([[[0.0], [1.0]], [[10.0], [11.0]]])
    of_motion = ssl.relative_prediction_loss(states + 1.0, states, epsilon=0.0)
    of_all = ssl.relative_prediction_loss(states + 1.0, states, around_window_mean=False, epsilon=0.0)
    assert float(of_motion) == pytest.approx(np.log(1 / 0.5))
    assert float(of_all) == pytest.approx(np.log(1 / 5.0))


def test_the_gradient_of_prediction_reaches_both_sides(states):
    predicted, observed = states.clone().requires_grad_(), states.flip(0).clone().requires_grad_()
    ssl.prediction_loss(predicted, observed).backward()
    assert torch.allclose(predicted.grad, -observed.grad)
    assert predicted.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "loss",
    [ssl.temporal_similarity_loss, ssl.curvature_loss],
)
def test_gradients_agree_with_finite_differences(loss, states):
    small = (0.3 * states).requires_grad_()
    assert torch.autograd.gradcheck(loss, (small,))


@pytest.mark.parametrize(
    "loss", [ssl.prediction_loss, ssl.relative_prediction_loss, ssl.inverse_dynamics_loss]
)
def test_gradients_of_both_sides_agree_with_finite_differences(loss, states):
    one, other = (0.3 * states).requires_grad_(), states.flip(0).clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (one, other))


def test_telling_discrete_actions_is_a_cross_entropy_in_units_of_a_guess():
    taken = torch.eye(4)[torch.arange(8) % 4].reshape(2, 4, 4)
    assert float(ssl.inverse_choice_loss(torch.zeros(2, 4, 4), taken)) == pytest.approx(1.0)
    assert float(ssl.inverse_choice_loss(50 * taken, taken)) == pytest.approx(0.0, abs=1e-6)
    even = taken.mean(1, keepdim=True)  # of a block that took each once
    assert float(ssl.inverse_choice_loss(torch.zeros(2, 1, 4), even)) == pytest.approx(1.0)


def test_curvature_is_one_minus_the_cosine_of_successive_changes(states):
    path, bends = states.numpy(), []
    for window in path:
        for t in range(2):
            before, after = window[t + 1] - window[t], window[t + 2] - window[t + 1]
            bends.append(1 - before @ after / np.linalg.norm(before) / np.linalg.norm(after))
    assert float(ssl.curvature_loss(states)) == pytest.approx(np.mean(bends), rel=1e-9)


def test_curvature_is_0_on_a_line_2_on_the_way_back_and_counts_neither_scale_nor_place(states):
    line = torch.arange(4.0)[None, :, None] * torch.tensor([1.0, -2.0])
    assert float(ssl.curvature_loss(line)) == pytest.approx(0, abs=1e-6)
    assert float(ssl.curvature_loss(line[:, [0, 1, 0]])) == pytest.approx(2, abs=1e-6)
    moved = float(ssl.curvature_loss(5 * states + 3))
    assert moved == pytest.approx(float(ssl.curvature_loss(states)), rel=1e-9)


def test_curvature_of_a_state_that_stays_has_a_finite_gradient():
    still = torch.ones(2, 4, 3, requires_grad=True)
    ssl.curvature_loss(still).backward()
    assert torch.isfinite(still.grad).all()


def test_two_states_do_not_bend():
    with pytest.raises(ValueError, match="3 time steps"):
        ssl.curvature_loss(torch.zeros(2, 2, 3))


def test_endpoint_inverse_is_the_papers_squared_error_of_all_actions(states):
    weight = torch.linspace(-1, 1, 60).reshape(10, 6).double()
    actions = states[:, :3, :2].flip(0)
    expected = []
    for window, taken in zip(states.numpy(), actions.numpy(), strict=True):
        told = (np.concatenate([window[0], window[3]]) @ weight.numpy()).reshape(3, 2)
        expected.append(sum(np.sum((told[t] - taken[t]) ** 2) for t in range(3)) / 3)

    def read(first, last):
        return torch.cat([first, last], -1) @ weight

    found = ssl.endpoint_inverse_loss(read, states, actions)
    assert float(found) == pytest.approx(np.mean(expected), rel=1e-9)


def test_endpoint_inverse_looks_at_the_ends_alone(states):
    path = states.clone().requires_grad_()
    mean = torch.ones(6, 1, 5).double()
    ssl.endpoint_inverse_loss(lambda first, last: first * last, path, mean).backward()
    assert (path.grad.abs().sum((0, 2)) > 0).tolist() == [True, False, False, True]


def test_endpoint_inverse_punishes_a_state_that_drops_what_actions_change():
    actions = torch.randn(64, 3, 1, generator=torch.Generator().manual_seed(0))
    path = torch.cat([torch.zeros(64, 1, 1), actions.cumsum(1)], 1)
    mean = actions.mean(1, keepdim=True)

    def told(states):
        return float(ssl.endpoint_inverse_loss(lambda first, last: (last - first) / 3, states, mean))

    assert told(path) == pytest.approx(0, abs=1e-6)
    assert told(0 * path) == pytest.approx(float(mean.square().mean()))
