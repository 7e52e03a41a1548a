"""Blocks with no JEPA meaning."""

import pytest
import torch
from torch import nn

from telos.nn import ResidualConv, SpatialSoftmax, batch_statistics, cell_centres, mlp, projector


def blob(x, y, *, height=16, width=12, sharpness=6.0):
    """One channel that peaks at grid coordinates (x, y), smoothly."""
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return (-((columns - x) ** 2 + (rows - y) ** 2) / sharpness)[None, None].float()


@pytest.mark.parametrize(("x", "y"), [(5.0, 8.0), (5.25, 7.5), (6.4, 9.9)])
def test_spatial_softmax_finds_a_peak_at_sub_pixel_precision(x, y):
    found = SpatialSoftmax(1)(blob(x, y))[0, 0]
    grid = (found + 1) / 2 * torch.tensor([12.0, 16.0]) - 0.5
    assert torch.allclose(grid, torch.tensor([x, y]), atol=0.05)


def test_spatial_softmax_gives_x_and_y_of_each_channel():
    features = torch.cat([blob(2, 13), blob(9, 3)], dim=1)
    (first_x, first_y), (second_x, second_y) = SpatialSoftmax(2)(features)[0].tolist()
    assert first_x < 0 < second_x
    assert second_y < 0 < first_y


def test_spatial_softmax_of_a_flat_map_is_the_centre():
    assert SpatialSoftmax(3)(torch.ones(2, 3, 8, 8)).abs().max() < 1e-6


@pytest.mark.parametrize("finer", [2, 5])
def test_the_coordinates_of_a_peak_do_not_depend_on_the_resolution(finer):
    place = torch.tensor([0.31, -0.22])

    def found(height, width):
        x, y = cell_centres(width, like=place), cell_centres(height, like=place)
        features = -5 * ((x - place[0]) ** 2 + (y[:, None] - place[1]) ** 2)
        return SpatialSoftmax(1)(features[None, None])[0, 0]

    assert torch.allclose(found(16, 12), place, atol=1e-3)
    assert torch.allclose(found(16 * finer, 12 * finer), found(16, 12), atol=1e-3)


def test_the_coordinates_are_those_of_grid_sample():
    picture = torch.arange(48.0).reshape(1, 1, 6, 8)
    peak = torch.zeros(1, 1, 6, 8)
    peak[..., 4, 1] = 100
    place = SpatialSoftmax(1)(peak)[:, None]
    assert nn.functional.grid_sample(picture, place, align_corners=False).item() == picture[0, 0, 4, 1]


def test_the_gradient_of_spatial_softmax_reaches_features_and_temperature():
    block, features = SpatialSoftmax(1), blob(4, 5).requires_grad_()
    block(features)[0, 0, 0].backward()
    assert features.grad.abs().sum() > 0
    assert block.log_temperature.grad.abs().sum() > 0


def test_mlp_has_no_activation_at_its_end():
    layers = mlp([3, 5, 7, 2])
    assert [type(layer) for layer in layers] == [nn.Linear, nn.ReLU, nn.Linear, nn.ReLU, nn.Linear]
    assert layers(torch.zeros(4, 3)).shape == (4, 2)


def test_a_residual_block_is_the_identity_where_its_last_convolution_is_zero():
    block, features = ResidualConv(3), torch.randn(2, 3, 5, 6, generator=torch.Generator().manual_seed(0))
    nn.init.zeros_(block.second.weight)
    nn.init.zeros_(block.second.bias)
    assert torch.equal(block(features), features)


def test_of_what_is_seen_batch_statistics_take_nothing_or_all():
    head = projector(3, 4, 2)
    seen, norm = torch.randn(32, 3, generator=torch.Generator().manual_seed(0)), head[1]
    with batch_statistics(head, momentum=0.0):
        head(seen)
    assert not norm.running_mean.any()
    with batch_statistics(head, momentum=1.0):
        head(seen)
    torch.testing.assert_close(norm.running_mean, head[0](seen).mean(0))
    assert norm.momentum == 0.1
