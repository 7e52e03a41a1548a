"""Each loss against an independent reference, written from its formula."""

import numpy as np
import pytest
import torch

from telos import ssl


@pytest.fixture
def states():
    scale = torch.linspace(0.1, 2.0, 5)
    return torch.randn(6, 4, 5, generator=torch.Generator().manual_seed(0)).mul(scale).double()


def test_variance_is_vicreg_equation_1(states):
    rows = states.reshape(-1, 5).numpy()
    deviation = np.sqrt(rows.var(axis=0, ddof=1) + 1e-4)
    expected = np.mean([max(0.0, 1.0 - value) for value in deviation])
    assert float(ssl.variance_loss(states)) == pytest.approx(expected, rel=1e-9)


def test_variance_asks_for_its_target_and_no_more():
    spread = torch.tensor([[-1.0], [1.0], [-1.0], [1.0]])[None]
    assert float(ssl.variance_loss(spread, target=1.0)) == 0.0
    assert float(ssl.variance_loss(spread, target=2.0)) > 0.8


def test_covariance_is_vicreg_equation_4(states):
    covariance = np.cov(states.reshape(-1, 5).numpy(), rowvar=False)
    expected = sum(covariance[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    assert float(ssl.covariance_loss(states)) == pytest.approx(expected, rel=1e-9)


def test_covariance_counts_neither_scale_nor_offset_of_one_dimension(states):
    single = torch.zeros_like(states)
    single[..., 2] = states[..., 2] * 100 + 7
    assert float(ssl.covariance_loss(single)) == pytest.approx(0.0, abs=1e-9)


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
    [ssl.variance_loss, ssl.covariance_loss, ssl.temporal_similarity_loss],
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


def test_a_collapsed_batch_still_has_a_finite_variance_gradient():
    collapsed = torch.zeros(4, 3, 2, requires_grad=True)
    ssl.variance_loss(collapsed).backward()
    assert torch.isfinite(collapsed.grad).all()


def test_telling_discrete_actions_is_a_cross_entropy_in_units_of_a_guess():
    taken = torch.eye(4)[torch.arange(8) % 4].reshape(2, 4, 4)
    assert float(ssl.inverse_choice_loss(torch.zeros(2, 4, 4), taken)) == pytest.approx(1.0)
    assert float(ssl.inverse_choice_loss(50 * taken, taken)) == pytest.approx(0.0, abs=1e-6)
    even = taken.mean(1, keepdim=True)  # of a block that took each once
    assert float(ssl.inverse_choice_loss(torch.zeros(2, 1, 4), even)) == pytest.approx(1.0)
