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


def test_indicators_do_not_train():
    states = noise(4, 3, 5).requires_grad_()
    assert all(isinstance(value, float) for value in ssl.indicators(states).values())
