"""VICReg and Barlow Twins against their formulas, written out entry by entry."""

import numpy as np
import pytest
import torch

from telos import ssl


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def states():
    return noise(6, 4, 5) * torch.linspace(0.1, 2.0, 5)


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


def test_a_collapsed_batch_still_has_a_finite_variance_gradient():
    collapsed = torch.zeros(4, 3, 2, requires_grad=True)
    ssl.variance_loss(collapsed).backward()
    assert torch.isfinite(collapsed.grad).all()


def test_vicreg_is_the_papers_weighted_sum(states):
    one, other = states.reshape(-1, 5).numpy(), noise(24, 5, seed=1).numpy()
    expected = 25 * np.mean([(x - y) ** 2 for x, y in zip(one.flat, other.flat, strict=True)])
    for view in (one, other):
        covariance = np.cov(view, rowvar=False)
        expected += 25 * np.mean([max(0, 1 - np.sqrt(covariance[i, i] + 1e-4)) for i in range(5)])
        expected += sum(covariance[i, j] ** 2 for i in range(5) for j in range(5) if i != j) / 5
    found = ssl.vicreg_loss(states, torch.from_numpy(other).reshape(6, 4, 5))
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_barlow_twins_is_the_papers_formula(states):
    one, other = states.reshape(-1, 5).numpy(), noise(24, 5, seed=1).numpy()
    expected = 0.0
    for i in range(5):
        for j in range(5):
            correlation = np.corrcoef(one[:, i], other[:, j])[0, 1]
            expected += (1 - correlation) ** 2 if i == j else 0.3 * correlation**2
    found = ssl.barlow_twins_loss(
        states, torch.from_numpy(other).reshape(6, 4, 5), redundancy=0.3, epsilon=0.0
    )
    assert float(found) == pytest.approx(expected, rel=1e-9)


def test_barlow_twins_counts_neither_scale_nor_offset(states):
    moved = states * torch.tensor([3.0, 0.5, 9.0, 1.0, 2.0]) + 7
    found, same = (ssl.barlow_twins_loss(each, states.flip(0), epsilon=0.0) for each in (states, moved))
    assert float(same) == pytest.approx(float(found), rel=1e-9)


@pytest.mark.parametrize("loss", [ssl.vicreg_loss, ssl.barlow_twins_loss])
@pytest.mark.parametrize("spoil", [lambda x: 0 * x + 1, lambda x: x[..., :1].expand_as(x)])
def test_views_that_agree_but_have_collapsed_are_punished(loss, spoil):
    healthy = noise(200, 5)
    assert float(loss(spoil(healthy), spoil(healthy))) > 2 * float(loss(healthy, healthy)) + 0.01


@pytest.mark.parametrize("loss", [ssl.variance_loss, ssl.covariance_loss])
def test_gradients_agree_with_finite_differences(loss, states):
    assert torch.autograd.gradcheck(loss, ((0.3 * states).requires_grad_(),))


@pytest.mark.parametrize("loss", [ssl.vicreg_loss, ssl.barlow_twins_loss])
def test_gradients_of_both_views_agree_with_finite_differences(loss, states):
    one, other = (0.3 * states).requires_grad_(), noise(6, 4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(loss, (one, other))
