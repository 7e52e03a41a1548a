"""Indicators of collapse against their formulas, and on representations that have collapsed."""

import math

import numpy as np
import pytest
import torch

from telos import ssl


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_rank_me_is_the_papers_formula_on_centred_states():
    states = noise(20, 3, 6) * torch.linspace(0.1, 3, 6)
    rows = states.reshape(-1, 6).double().numpy()
    singular = np.linalg.svd(rows - rows.mean(0), compute_uv=False)
    share = singular / singular.sum() + 1e-7
    assert ssl.rank_me(states) == pytest.approx(math.exp(-np.sum(share * np.log(share))), rel=1e-4)


@pytest.mark.parametrize("rank", [1, 2, 5])
def test_rank_me_counts_equally_used_dimensions(rank):
    basis = torch.linalg.qr(noise(64, 8))[0]
    centred = basis - basis.mean(0)
    states = torch.linalg.qr(centred)[0][:, :rank] @ torch.linalg.qr(noise(8, 8))[0][:rank]
    assert ssl.rank_me(states[None] + 3.0) == pytest.approx(rank, rel=1e-2)


def test_rank_me_of_states_that_are_not_finite_is_nan():
    assert math.isnan(ssl.rank_me(torch.full((2, 3, 4), math.nan)))


def test_lidar_is_the_entropy_rank_of_the_lda_matrix():
    states = (noise(20, 5, 4) * torch.linspace(0.1, 1, 4) + 2 * noise(20, 1, 4, seed=1)).double().numpy()
    means = [window.mean(0) for window in states]
    between = sum(np.outer(m - np.mean(means, 0), m - np.mean(means, 0)) for m in means) / 20
    pairs = list(zip(states, means, strict=True))
    within = sum(np.outer(x - m, x - m) for window, m in pairs for x in window) / 100
    values = np.linalg.eigvals(np.linalg.inv(within) @ between).real
    share = values / values.sum()
    found = ssl.lidar(torch.from_numpy(states), ridge=1e-12)
    assert found == pytest.approx(math.exp(-np.sum(share * np.log(share))), rel=1e-4)


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_lidar_does_not_count_scale(scale):
    states = noise(20, 5, 4) * torch.logspace(0, -3, 4) + noise(20, 1, 4, seed=1) * torch.logspace(0, -2, 4)
    assert ssl.lidar(scale * states) == pytest.approx(ssl.lidar(states), rel=1e-4)


def test_lidar_does_not_count_noise_and_rank_me_does():
    told = torch.zeros(64, 8, 6)
    told[..., :2] = 10 * noise(64, 1, 2, seed=1)
    states = told + noise(64, 8, 6)
    assert ssl.lidar(states) == pytest.approx(2, abs=0.2)
    assert ssl.rank_me(states) > 3


def test_noise_counts_in_lidar_where_windows_are_short_and_ever_less_in_longer_ones():
    """Means of T samples keep 1 / T of the noise: eigenvalues of 1 + 1 / T and, four times, 1 / T."""
    for length in (2, 8, 32):
        told = torch.zeros(4096, length, 5)
        told[..., :1] = noise(4096, 1, 1, seed=1)
        share = torch.tensor([1 + 1 / length] + [1 / length] * 4)
        share = share / share.sum()
        expected = float((-share * share.log()).sum().exp())
        assert ssl.lidar(told + noise(4096, length, 5)) == pytest.approx(expected, rel=0.1)


def test_lidar_of_a_constant_representation_is_1_and_of_one_that_is_not_finite_nan():
    assert ssl.lidar(torch.ones(4, 3, 5)) == pytest.approx(1, abs=0.01)
    assert math.isnan(ssl.lidar(torch.full((2, 3, 4), math.inf)))


def test_within_episode_share_is_the_law_of_total_variance():
    states = noise(7, 5, 3) + 2 * noise(7, 1, 3, seed=1)
    rows = states.numpy()
    between = rows.mean(1).var(0).sum()
    total = rows.reshape(-1, 3).var(0).sum()
    assert ssl.within_episode_share(states) == pytest.approx(1 - between / total, rel=1e-4)


def test_within_episode_share_is_0_for_a_slow_feature_collapse_and_1_for_pure_motion():
    window = noise(1, 9, 4)
    assert ssl.within_episode_share(noise(8, 1, 4).expand(8, 9, 4)) == pytest.approx(0, abs=1e-6)
    assert ssl.within_episode_share(window.expand(8, 9, 4)) == pytest.approx(1, abs=1e-5)


def test_indicators_of_a_constant_representation_are_those_of_a_collapse():
    found = ssl.indicators(torch.ones(4, 3, 5))
    assert found["std"] == 0
    assert found["within_episode_variance"] == 0
    assert found["rank"] < 1.01
    assert found["lidar"] < 1.01


def test_indicators_do_not_train():
    states = noise(4, 3, 5).requires_grad_()
    assert all(isinstance(value, float) for value in ssl.indicators(states).values())


def test_lidar_of_states_with_more_numbers_than_samples_is_that_of_the_space_they_span():
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(6, 1, 5, generator=generator) + 0.3 * torch.randn(6, 4, 5, generator=generator)
    turned, _ = torch.linalg.qr(torch.randn(400, 5, generator=generator))
    wide = states @ turned.T
    # Scale does not count, but the ridge is of a state's mean variance, which the empty dimensions thin out.
    assert ssl.lidar(wide, ridge=8e-5 * 80) == pytest.approx(ssl.lidar(states, ridge=8e-5), rel=1e-3)
    assert 1 < ssl.lidar(torch.randn(4, 3, 100_000, generator=generator)) <= 3.01


def test_spread_is_one_where_directions_are_all_as_frequent_and_none_where_they_are_one():
    assert ssl.spread(noise(4000, 5, 16)) == pytest.approx(1.0, abs=0.01)
    scales = torch.rand(64, 1, 1, generator=torch.Generator().manual_seed(0)) + 0.1
    assert ssl.spread(scales * noise(1, 1, 16).expand(64, 3, 16)) == pytest.approx(0.0, abs=1e-5)
    narrow = torch.ones(16) + 0.1 * noise(400, 16)
    assert 0.05 < ssl.spread(narrow) < 0.2
