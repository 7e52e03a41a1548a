"""The encoder: what it accepts, and that its folded standardisation is the explicit one."""

import pytest
import torch

from telos.perception import ConvEncoder


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return ConvEncoder(channels=3, image_size=(16, 24), state_size=10, width=8, blocks=1).eval()


@pytest.fixture
def frames():
    return torch.randint(256, (5, 16, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def test_a_channels_last_view_gives_what_a_contiguous_copy_gives(encoder, frames):
    view = frames.permute(0, 3, 1, 2)
    assert not view.is_contiguous()
    assert torch.allclose(encoder(view), encoder(view.contiguous()), atol=1e-5)


def test_standardisation_in_the_weights_is_standardisation_of_the_pixels(encoder, frames):
    pixels = frames.permute(0, 3, 1, 2)[:, :, 2:-2, 2:-2].double()
    mean, std = torch.tensor([10.0, 120.0, 200.0]), torch.tensor([5.0, 60.0, 90.0])
    encoder.standardise_by(mean, std)
    encoder.double()
    padded = torch.nn.functional.pad((pixels - mean[:, None, None]) / std[:, None, None], [2] * 4)
    expected = torch.conv2d(padded, encoder.patches.weight, encoder.patches.bias, stride=4)
    inner = encoder._patches(pixels)[:, :, 1:-1, 1:-1]
    assert torch.allclose(inner, expected[:, :, 1:-1, 1:-1], atol=1e-6)


def test_pixels_that_hardly_vary_are_not_blown_up(encoder):
    encoder.standardise_by(torch.zeros(3), torch.full((3,), 1e-9))
    assert encoder.pixel_scale.tolist() == [1.0, 1.0, 1.0]


def test_each_picture_is_encoded_alone(encoder, frames):
    pixels = frames.permute(0, 3, 1, 2)
    together = encoder(pixels)
    assert torch.allclose(together[3:4], encoder(pixels[3:4]), atol=1e-5)
    assert together.shape == (5, 10)


def test_every_parameter_learns(encoder, frames):
    encoder(frames.permute(0, 3, 1, 2)).square().sum().backward()
    assert [name for name, value in encoder.named_parameters() if not value.grad.abs().sum() > 0] == []


def test_a_size_that_is_not_a_multiple_of_4_is_an_error_that_says_so():
    with pytest.raises(ValueError, match=r"multiples of 4; got \(30, 32\)"):
        ConvEncoder(channels=3, image_size=(30, 32), state_size=4)
