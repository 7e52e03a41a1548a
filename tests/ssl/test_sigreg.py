"""SIGReg against the integral it is, written out for each direction."""

import numpy as np
import pytest
import torch

from telos import ssl


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_sigreg_is_the_epps_pulley_statistic_of_random_projections():
    states, generator = noise(30, 4) + 0.5, torch.Generator().manual_seed(3)
    directions = torch.randn(4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).numpy()
    directions /= np.linalg.norm(directions, axis=0)
    points = np.linspace(0, 3, 17)
    statistics = []
    for column in (states.numpy() @ directions).T:
        empirical = np.exp(1j * points[:, None] * column).mean(1)
        apart = np.abs(empirical - np.exp(-(points**2) / 2)) ** 2 * np.exp(-(points**2) / 2)
        statistics.append(30 * 2 * np.trapezoid(apart, points))
    assert float(ssl.sigreg(states, generator, slices=8)) == pytest.approx(np.mean(statistics), rel=1e-9)


def test_leading_axes_are_taken_apart_and_averaged():
    states = noise(3, 30, 4)
    each = [ssl.sigreg(part, torch.Generator().manual_seed(1), slices=8) for part in states]
    found = ssl.sigreg(states, torch.Generator().manual_seed(1), slices=8)
    assert float(found) == pytest.approx(float(torch.stack(each).mean()), rel=1e-9)


@pytest.mark.parametrize("spoil", [lambda x: 0 * x, lambda x: 3 * x, lambda x: x + 1, torch.sign])
def test_normal_samples_have_the_least(spoil):
    states = noise(500, 4)
    normal, other = (
        float(ssl.sigreg(each, torch.Generator().manual_seed(1))) for each in (states, spoil(states))
    )
    assert other > 3 * normal


def test_its_gradient_is_that_of_finite_differences():
    def loss(states):
        return ssl.sigreg(states, torch.Generator().manual_seed(1), slices=3, knots=5)

    assert torch.autograd.gradcheck(loss, (noise(6, 3).requires_grad_(),))


@pytest.mark.parametrize("change", [{"slices": 0}, {"knots": 1}, {"upto": 0.0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match="must be"):
        ssl.sigreg(noise(4, 2), torch.Generator(), **change)
