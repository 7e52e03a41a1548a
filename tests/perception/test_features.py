"""A vector of features of the whole picture."""

import pytest
import torch

from telos.perception import FeatureEncoder


def new_encoder(*, size=(16, 24), features=4):
    torch.manual_seed(0)
    return FeatureEncoder(channels=3, image_size=size, features=features)


def pictures(count=64, size=(16, 24)):
    return torch.randint(
        256, (count, 3, *size), dtype=torch.uint8, generator=torch.Generator().manual_seed(1)
    )


def test_in_training_every_feature_has_mean_zero_and_deviation_one():
    poses = new_encoder().train()(pictures())[0]
    assert torch.allclose(poses.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(poses.std(0, correction=0), torch.ones(4), atol=1e-2)


def test_afterwards_features_are_as_they_were_in_training():
    encoder, pixels = new_encoder(), pictures()
    for _ in range(100):
        trained = encoder(pixels)[0]
    assert torch.allclose(encoder.eval()(pixels)[0], trained, atol=0.05)
    assert torch.allclose(encoder(pixels[:1])[0], trained[:1], atol=0.05)


def test_what_all_pictures_share_is_not_seen():
    """A background of any contrast changes nothing: it is the mean picture."""
    moves = pictures() // 8
    background = torch.arange(16 * 24).view(16, 24).remainder(200).to(torch.uint8)
    plain, before = new_encoder(), new_encoder()
    plain.standardise_by(moves)
    before.standardise_by(moves + background)
    assert torch.allclose(plain(moves)[0], before(moves + background)[0], atol=1e-4)


def test_pixels_that_hardly_vary_are_not_blown_up():
    encoder = new_encoder()
    encoder.standardise_by(torch.full((4, 3, 16, 24), 7, dtype=torch.uint8))
    assert encoder.pixel_scale.flatten().tolist() == [1.0, 1.0, 1.0]


def test_there_is_no_scene():
    assert new_encoder()(pictures())[1] is None


@pytest.mark.parametrize("size", [(15, 23), (32, 32), (9, 64)])
def test_pictures_of_any_size_are_encoded(size):
    assert new_encoder(size=size)(pictures(3, size))[0].shape == (3, 4)
