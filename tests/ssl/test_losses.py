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


def test_invariance_is_half_the_mean_over_all_pairs_of_views(states):
    pairs = [(states[:, i] - states[:, j]).square().mean() for i in range(4) for j in range(4)]
    assert float(ssl.invariance_loss(states)) == pytest.approx(float(sum(pairs)) / 16 / 2, rel=1e-9)


def test_invariance_of_two_views_is_a_quarter_of_vicreg_equation_5(states):
    first, second = states[:, 0].numpy(), states[:, 1].numpy()
    vicreg = np.mean([np.sum((a - b) ** 2) for a, b in zip(first, second, strict=True)]) / 5
    assert float(ssl.invariance_loss(states[:, :2])) == pytest.approx(vicreg / 4, rel=1e-9)


def test_temporal_similarity_compares_neighbours_in_time_only(states):
    steps = [((states[b, t + 1] - states[b, t]) ** 2).mean() for b in range(6) for t in range(3)]
    assert float(ssl.temporal_similarity_loss(states)) == pytest.approx(float(sum(steps)) / 18, rel=1e-9)


def test_prediction_and_inverse_are_mean_squared_errors(states):
    other = states.flip(0)
    expected = np.mean((states.numpy() - other.numpy()) ** 2)
    assert float(ssl.prediction_loss(states, other)) == pytest.approx(expected, rel=1e-9)
    assert float(ssl.inverse_dynamics_loss(states, other)) == pytest.approx(expected, rel=1e-9)


def test_the_gradient_of_prediction_reaches_both_sides(states):
    predicted, observed = states.clone().requires_grad_(), states.flip(0).clone().requires_grad_()
    ssl.prediction_loss(predicted, observed).backward()
    assert torch.allclose(predicted.grad, -observed.grad)
    assert predicted.grad.abs().sum() > 0


@pytest.mark.parametrize(
    "loss",
    [ssl.variance_loss, ssl.covariance_loss, ssl.invariance_loss, ssl.temporal_similarity_loss],
)
def test_gradients_agree_with_finite_differences(loss, states):
    small = (0.3 * states).requires_grad_()
    assert torch.autograd.gradcheck(loss, (small,))


def test_a_collapsed_batch_still_has_a_finite_variance_gradient():
    collapsed = torch.zeros(4, 3, 2, requires_grad=True)
    ssl.variance_loss(collapsed).backward()
    assert torch.isfinite(collapsed.grad).all()
