"""States of any size, of where features are and how they move."""

import pytest
import torch
from torch.nn.functional import avg_pool2d

from telos.perception import Tracks
from telos.perception.tracks import TracksEncoder


def new_encoder(*, frames=2, size=(16, 32), **settings):
    torch.manual_seed(0)
    return Tracks(**{"features": 3, "places": 4, "views": 2, **settings}).build(
        channels=3, image_size=size, frames=frames
    )


def clips(count=64, *, frames=2, size=(16, 32)):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 3 * frames, *size), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("features", [1, 2, 6, 40])
def test_a_state_has_the_size_that_is_asked_for_and_every_number_varies_by_one(features):
    states, scene = new_encoder(features=features)(clips())
    assert scene is None
    assert states.shape == (64, features)
    assert torch.allclose(states.mean(0), torch.zeros(features), atol=1e-5)
    assert torch.allclose(states.std(0, correction=0), torch.ones(features), atol=1e-2)


def test_patches_are_a_strided_convolution_of_standardised_pixels():
    encoder, pictures = new_encoder(), clips(5, frames=1)
    encoder.standardise_by(clips(20, frames=1))
    weight = encoder.stem.weight.unflatten(1, (3, 4, 4))
    standard = (pictures.float() - encoder.pixel_mean) * encoder.pixel_scale
    expected = torch.conv2d(standard, weight, encoder.stem.bias, stride=4).flatten(2).transpose(1, 2)
    assert torch.allclose(encoder._patches(pictures), expected, atol=1e-4)


def test_views_are_looked_at_apart():
    """What is in one view says nothing of places in the other, but for the one cell at their border."""
    encoder, one = new_encoder(patch=2, places=1).eval(), clips(1, frames=1)
    other = one.clone()
    other[..., 20:] = 0
    before, after = encoder.features_of(one), encoder.features_of(other)
    assert torch.equal(before[:, :2], after[:, :2])
    assert not torch.allclose(before[:, 2:], after[:, 2:])


def test_a_bright_spot_is_where_it_is():
    """The patches' mean brightness, sharpened, as the one feature: the place is the spot's cell."""
    encoder = new_encoder(views=1, places=1, width=1, frames=1, patch=2)
    with torch.no_grad():
        encoder.stem.weight.fill_(1.0)
        encoder.stem.bias.fill_(0.0)
        encoder.body.weight.zero_()[:, :, 1, 1] = 1.0
        encoder.body.bias.zero_()
        encoder.heat.weight.fill_(10.0)
        encoder.pixel_mean.zero_()
    spot = torch.zeros(1, 3, 16, 32, dtype=torch.uint8)
    spot[..., 4:6, 26:28] = 255
    assert avg_pool2d(spot.float(), 2).argmax() == 2 * 16 + 13
    expected = torch.tensor([[2 * (13 + 0.5) / 16 - 1, 2 * (2 + 0.5) / 8 - 1]]) * 2
    assert torch.allclose(encoder.features_of(spot), expected, atol=1e-4)


def test_a_single_picture_is_a_clip_that_stands_still():
    encoder, pictures = new_encoder(frames=3).eval(), clips(5, frames=1)
    states = encoder.pose(encoder.features_of(pictures))
    assert torch.allclose(states, encoder(pictures.repeat(1, 3, 1, 1))[0], atol=1e-6)


def test_what_all_pictures_share_is_not_seen():
    moves = clips(frames=1) // 8
    background = torch.arange(16 * 32).view(16, 32).remainder(200).to(torch.uint8)
    plain, before = new_encoder(frames=1).eval(), new_encoder(frames=1).eval()
    plain.standardise_by(moves)
    before.standardise_by(moves + background)
    assert torch.allclose(plain(moves)[0], before(moves + background)[0], atol=1e-4)


@pytest.mark.parametrize("settings", [{"patch": 3}, {"patch": 32}, {"views": 3}])
def test_views_must_divide_into_patches(settings):
    with pytest.raises(ValueError, match="patch must divide a view"):
        new_encoder(**settings)


@pytest.mark.parametrize("name", ["features", "places", "views", "width", "patch", "hidden"])
def test_sizes_are_at_least_one(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        Tracks(**{name: 0})


def test_settings_build_their_encoder():
    assert isinstance(new_encoder(), TracksEncoder)
