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


def plain(states, directions):
    """The same statistic as autograd would take it apart."""
    points = torch.linspace(0, 3, 17, dtype=states.dtype)
    angles = (states @ directions)[..., None] * points
    normal = torch.exp(-(points**2) / 2)
    apart = (angles.cos().mean(0) - normal).square() + angles.sin().mean(0).square()
    return len(states) * 2 * torch.trapezoid(apart * normal, points).mean()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 40.0])
def test_its_recurrences_give_the_slope_of_the_plain_formula(scale):
    states = (scale * noise(20, 4)).requires_grad_()
    directions = torch.randn(4, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    (expected,) = torch.autograd.grad(plain(states, directions / directions.norm(dim=0)), states)
    (found,) = torch.autograd.grad(ssl.sigreg(states, torch.Generator().manual_seed(3), slices=8), states)
    assert torch.allclose(found, expected, rtol=1e-9, atol=1e-12 * float(expected.abs().max()))


@pytest.mark.parametrize("scale", [1e-2, 1.0, 30.0])
def test_single_precision_is_enough(scale):
    states = scale * noise(100, 1)  # of one dimension, all directions show the same
    single, double = (ssl.sigreg(each, torch.Generator().manual_seed(1)) for each in (states.float(), states))
    assert float(single) == pytest.approx(float(double), rel=1e-5)


def test_orthogonal_directions_have_the_same_expectation_and_less_noise():
    states = noise(50, 6) * torch.linspace(0.2, 2, 6)
    free, square = (
        torch.stack([ssl.sigreg(states, generator, slices=6, orthogonal=orthogonal) for _ in range(400)])
        for generator, orthogonal in ((torch.Generator().manual_seed(1), each) for each in (False, True))
    )
    assert float(square.mean()) == pytest.approx(float(free.mean()), rel=0.05)
    assert float(square.std()) < 0.7 * float(free.std())


def test_more_orthogonal_directions_than_dimensions_are_drawn_in_turns():
    states, generator = noise(50, 6), torch.Generator().manual_seed(1)
    assert float(ssl.sigreg(states, generator, slices=15, orthogonal=True)) > 0


@pytest.mark.parametrize("change", [{"slices": 0}, {"knots": 1}, {"upto": 0.0}])
def test_impossible_settings_are_refused(change):
    with pytest.raises(ValueError, match="must be"):
        ssl.sigreg(noise(4, 2), torch.Generator(), **change)
