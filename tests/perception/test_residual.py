"""A vector of what residual convolutions find."""

import pytest
import torch
from torch import nn

from telos.perception import Residual


def new_encoder(*, size=(16, 24), channels=3, **changes):
    torch.manual_seed(0)
    settings = Residual(**{"size": 6, "widths": (4, 8), "blocks": 1, **changes})
    return settings.build(channels=channels, image_size=size, frames=1)


def pictures(count=5, size=(16, 24), channels=3):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, channels, *size), dtype=torch.uint8, generator=generator)


def test_it_is_impalas_network():
    """Espeholt et al. 2018, figure 3, written out."""
    encoder, pixels = new_encoder(widths=(4,), blocks=2), pictures()
    convolve, _, *blocks = encoder.stacks[0]
    hidden = nn.functional.max_pool2d(convolve((pixels.float() - 127.5) / 64), 3, stride=2, padding=1)
    for block in blocks:
        hidden = hidden + block.second(block.first(hidden.relu()).relu())
    expected = nn.functional.layer_norm(encoder.project(hidden.relu().flatten(1)), (6,))
    torch.testing.assert_close(encoder(pixels)[0], expected)


def test_as_given_it_has_the_size_of_eb_jepas():
    encoder = Residual().build(channels=2, image_size=(65, 65), frames=1)
    assert sum(value.numel() for value in encoder.parameters()) == 1_426_096  # counted in EB-JEPA's own


def test_every_embedding_is_normalised():
    poses = new_encoder()(pictures())[0]
    torch.testing.assert_close(poses.mean(1), torch.zeros(5), atol=1e-5, rtol=0)
    torch.testing.assert_close(poses.std(1, correction=0), torch.ones(5), atol=1e-2, rtol=0)


def test_pixels_are_standardised_per_channel():
    encoder, pixels = new_encoder(), pictures()
    shown = pixels // torch.tensor([1, 2, 4], dtype=torch.uint8)[:, None, None] + 10
    encoder.standardise_by(shown)
    inside = (shown - encoder.pixel_mean) * encoder.pixel_scale
    torch.testing.assert_close(inside.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(inside.std((0, 2, 3), correction=0), torch.ones(3))


@pytest.mark.parametrize("size", [(15, 23), (32, 32), (9, 65)])
def test_pictures_of_any_size_and_channels_are_encoded(size):
    moving, scene = new_encoder(size=size, channels=2)(pictures(3, size, 2))
    assert moving.shape == (3, 6)
    assert scene is None


@pytest.mark.parametrize("change", [{"size": 0}, {"widths": ()}, {"widths": (4, 0)}, {"blocks": 0}])
def test_impossible_sizes_are_refused(change):
    with pytest.raises(ValueError, match=r"must be .*; got"):
        Residual(**change)
