"""MMCR, W-MSE and InfoNCE against their formulas, one sample at a time."""

import math

import numpy as np
import pytest
import torch

from telos import ssl


def noise(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("compression", [0.0, 0.7])
def test_mmcr_is_the_nuclear_norm_of_centroids_on_the_sphere(compression):
    views = noise(6, 3, 4)
    centroids, inside = [], 0.0
    for sample in views.numpy():
        unit = [view / np.linalg.norm(view) for view in sample]
        centroids.append(sum(unit) / 3)
        inside += np.sum(np.sqrt(np.abs(np.linalg.eigvalsh(np.array(unit) @ np.array(unit).T)))) / 6
    outside = np.sum(np.sqrt(np.linalg.eigvalsh(np.array(centroids).T @ np.array(centroids))))
    found = ssl.mmcr_loss(views, compression=compression)
    assert float(found) == pytest.approx(compression * inside - outside, rel=1e-9)


def test_mmcr_is_bounded_by_what_agreeing_views_in_all_directions_reach():
    frame = torch.linalg.qr(noise(4, 4))[0].repeat(4, 1)[:, None].expand(16, 2, 4)
    collapsed = frame[:1].expand(16, 2, 4)
    assert float(ssl.mmcr_loss(frame)) == pytest.approx(-math.sqrt(16 * 4))
    assert float(ssl.mmcr_loss(collapsed)) == pytest.approx(-math.sqrt(16))
    assert float(ssl.mmcr_loss(torch.stack([frame[:, 0], -frame[:, 1]], 1))) == pytest.approx(0, abs=1e-9)


def test_whitened_values_have_mean_0_and_the_identity_as_covariance():
    values = noise(3, 40, 4) @ noise(4, 4, seed=1) + 5
    for group in ssl.whiten(values, shrinkage=0.0).numpy():
        assert np.allclose(group.mean(0), 0, atol=1e-9)
        assert np.allclose(np.cov(group, rowvar=False), np.eye(4), atol=1e-9)


def test_shrinkage_mixes_the_covariance_with_the_identity():
    values = noise(40, 1) * 3
    expected = (values - values.mean()) / (0.75 * values.var() + 0.25).sqrt()
    assert torch.allclose(ssl.whiten(values, shrinkage=0.25), expected)


@pytest.mark.parametrize("scale", [1.0, 30.0, 1e5])
def test_what_varies_in_one_direction_is_whitened_at_any_scale(scale):
    line = scale * torch.randn(64, 1, generator=torch.Generator().manual_seed(0)) * torch.ones(1, 16)
    white = ssl.whiten(line)
    assert torch.isfinite(white).all()
    assert float(white.square().sum() / 63) == pytest.approx(1, rel=0.01)
    assert ssl.whiten(1e15 * line).isnan().all()


def test_wmse_is_the_distance_of_normalised_whitened_views():
    one, other = noise(20, 3), noise(20, 3, seed=1)
    order = torch.randperm(20, generator=seeded()).numpy()
    distances = []
    for group in (order[:9], order[9:18]):
        white = []
        for view in (one.numpy()[group], other.numpy()[group]):
            factor = np.linalg.cholesky(np.cov(view, rowvar=False))
            rows = (np.linalg.inv(factor) @ (view - view.mean(0)).T).T
            white.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        distances += [np.sum((x - y) ** 2) for x, y in zip(*white, strict=True)]
    found = ssl.wmse_loss(one, other, seeded(), together=9, shrinkage=0.0)
    assert float(found) == pytest.approx(np.mean(distances), rel=1e-9)


def test_wmse_counts_neither_scale_nor_offset_nor_which_way_both_views_are_turned_within_a_group():
    one, other = noise(30, 3), noise(30, 3, seed=1)
    moved = 7 * one + 3
    found, same = (ssl.wmse_loss(each, other, seeded(), together=10, shrinkage=0.0) for each in (one, moved))
    assert float(same) == pytest.approx(float(found), rel=1e-9)


def test_wmse_averages_over_repeats():
    one, other, generator = noise(20, 3), noise(20, 3, seed=1), seeded()
    each = [ssl.wmse_loss(one, other, generator, together=8) for _ in range(3)]
    found = ssl.wmse_loss(one, other, seeded(), together=8, repeats=3)
    assert float(found) == pytest.approx(float(sum(each)) / 3, rel=1e-9)


def test_wmse_does_not_take_a_constant_embedding_for_agreement():
    views, constant = noise(32, 3), torch.ones(32, 3).double()
    assert float(ssl.wmse_loss(views, views, seeded(), together=8)) == pytest.approx(0, abs=1e-9)
    assert float(ssl.wmse_loss(constant, constant, seeded(), together=8)) == pytest.approx(2)


@pytest.mark.parametrize("change", [{"together": 3}, {"together": 21}, {"together": 8, "repeats": 0}])
def test_groups_that_cannot_be_whitened_are_refused(change):
    with pytest.raises(ValueError, match="together must be"):
        ssl.wmse_loss(noise(20, 3), noise(20, 3), seeded(), **change)


def test_info_nce_is_simclrs_equation_1():
    one, other = noise(5, 4), noise(5, 4, seed=1)
    both = [row / np.linalg.norm(row) for row in torch.cat([one, other]).numpy()]
    losses = []
    for i in range(10):
        others = [math.exp(both[i] @ both[k] / 0.3) for k in range(10) if k != i]
        losses.append(-math.log(math.exp(both[i] @ both[(i + 5) % 10] / 0.3) / sum(others)))
    assert float(ssl.info_nce_loss(one, other, temperature=0.3)) == pytest.approx(np.mean(losses), rel=1e-9)


def test_info_nce_does_not_count_scale():
    one, other = noise(5, 4), noise(5, 4, seed=1)
    found, same = (ssl.info_nce_loss(*views) for views in ((one, other), (3 * one, 0.1 * other)))
    assert float(same) == pytest.approx(float(found), rel=1e-9)


def test_info_nce_of_a_collapse_is_a_guess_among_all_others():
    views, constant = noise(40, 8), torch.ones(40, 8)
    assert float(ssl.info_nce_loss(constant, constant)) == pytest.approx(math.log(79))
    assert float(ssl.info_nce_loss(views, views)) < 1


@pytest.mark.parametrize("change", [{"temperature": 0.0}, {"one": noise(1, 4), "other": noise(1, 4)}])
def test_info_nce_that_tells_nothing_apart_is_refused(change):
    with pytest.raises(ValueError, match="at least 2"):
        ssl.info_nce_loss(**{"one": noise(5, 4), "other": noise(5, 4)} | change)


@pytest.mark.parametrize(
    "loss",
    [
        ssl.info_nce_loss,
        lambda one, other: ssl.mmcr_loss(torch.stack([one, other], 1), compression=0.3),
        lambda one, other: ssl.wmse_loss(one, other, seeded(), together=6),
    ],
)
def test_gradients_agree_with_finite_differences(loss):
    assert torch.autograd.gradcheck(
        loss, (noise(6, 3).requires_grad_(), noise(6, 3, seed=1).requires_grad_())
    )
