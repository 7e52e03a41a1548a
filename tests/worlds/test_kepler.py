import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telos.worlds import propagate
from telos.worlds.kepler import Elements, eccentric_anomaly


def _orbits(n, *, most_eccentric=0.9, seed=0):
    rng = np.random.default_rng(seed)
    return Elements(
        rng.uniform(0.5, 2.0, n), rng.uniform(0.0, most_eccentric, n), *rng.uniform(0.0, 2 * np.pi, (4, n))
    )


def _acceleration(position):
    return -position / np.linalg.norm(position, axis=-1, keepdims=True) ** 3


def _runge_kutta(position, velocity, time, steps=20_000):
    """The equation of motion itself, integrated in small steps."""
    h = time / steps
    for _ in range(steps):
        k1, l1 = velocity, _acceleration(position)
        k2, l2 = velocity + h / 2 * l1, _acceleration(position + h / 2 * k1)
        k3, l3 = velocity + h / 2 * l2, _acceleration(position + h / 2 * k2)
        k4, l4 = velocity + h * l3, _acceleration(position + h * k3)
        position = position + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        velocity = velocity + h / 6 * (l1 + 2 * l2 + 2 * l3 + l4)
    return position, velocity


@settings(max_examples=200, deadline=None)
@given(mean=st.floats(-100.0, 100.0), eccentricity=st.floats(0.0, 0.99))
def test_keplers_equation_is_solved(mean, eccentricity):
    found = eccentric_anomaly(np.array([mean]), np.array([eccentricity]))[0]
    assert found - eccentricity * np.sin(found) == pytest.approx(mean, abs=1e-12)


def test_the_distance_at_periapsis_and_apoapsis_is_that_of_the_ellipse():
    orbits = _orbits(50)
    period, start = orbits.period(), orbits.mean_anomaly
    for turn, sign in ((0.0, -1), (0.5, 1)):
        position, _ = orbits.at((turn - start / (2 * np.pi)) * period)
        expected = orbits.semi_major_axis * (1 + sign * orbits.eccentricity)
        np.testing.assert_allclose(np.linalg.norm(position, axis=-1), expected, atol=1e-12)


def test_the_plane_of_an_orbit_is_that_of_its_inclination_and_node():
    orbits = _orbits(50)
    normal = np.cross(*orbits.at(0.3))
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    i, node = orbits.inclination, orbits.node
    expected = np.stack([np.sin(node) * np.sin(i), -np.cos(node) * np.sin(i), np.cos(i)], axis=-1)
    np.testing.assert_allclose(normal, expected, atol=1e-12)


@pytest.mark.parametrize("time", [0.0, 1e-9, 0.05, 3.0, 40.0, -0.3, -40.0])
def test_propagating_position_and_velocity_is_moving_along_the_elements(time):
    orbits = _orbits(200)
    found = propagate(*orbits.at(0.0), time)
    for one, other in zip(found, orbits.at(time), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("time", [1.5, -1.5])
def test_hyperbolas_and_near_parabolas_agree_with_the_equation_of_motion(time):
    rng = np.random.default_rng(1)
    position = rng.standard_normal((40, 3))
    velocity = np.cross(position, rng.standard_normal((40, 3)))  # across: no fall into the star
    radius = np.linalg.norm(position, axis=-1)
    escape = np.sqrt(2 / radius)
    speed = escape * np.r_[np.full(10, 1.0), np.full(10, 1 + 1e-9), rng.uniform(1.1, 3.0, 20)]
    velocity *= (speed / np.linalg.norm(velocity, axis=-1))[:, None]
    found = propagate(position, velocity, time)
    for one, other in zip(found, _runge_kutta(position, velocity, time), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-8, atol=1e-8)


def test_many_times_at_once_and_back_again():
    position, velocity = _orbits(3).at(0.0)
    times = np.linspace(-5.0, 5.0, 7)[:, None]
    there = propagate(position, velocity, times)
    assert there[0].shape == (7, 3, 3)
    back, _ = propagate(*there, -times)
    np.testing.assert_allclose(back, np.broadcast_to(position, back.shape), atol=1e-10)


def test_a_fast_body_far_in_the_future_goes_straight_on():
    position, velocity = propagate([1.0, 0.0, 0.0], [0.0, 50.0, 0.0], 1e4)
    assert np.linalg.norm(velocity) == pytest.approx(np.sqrt(50.0**2 - 2.0), rel=1e-6)
    assert np.linalg.norm(position) == pytest.approx(1e4 * np.sqrt(50.0**2 - 2.0), rel=1e-4)


def test_what_has_no_future_is_refused():
    with pytest.raises(ValueError, match=r"must have shape \[..., 3\]; got \[2\] and \[3\]"):
        propagate([1.0, 0.0], [0.0, 1.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="must be finite"):
        propagate([1.0, 0.0, np.nan], [0.0, 1.0, 0.0], 1.0)
    with pytest.raises(ValueError, match="must not be the star's centre"):
        propagate([0.0, 0.0, 0.0], [0.0, 1.0, 0.0], 1.0)
