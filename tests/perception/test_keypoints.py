"""Keypoints in a scene, and that the folded standardisation is the explicit one."""

import pytest
import torch

from telos.perception import KeypointEncoder, Keypoints


def new_encoder(*, frames=1, scene_channels=2):
    torch.manual_seed(0)
    return KeypointEncoder(
        channels=3,
        image_size=(16, 24),
        frames=frames,
        keypoints=3,
        scene_channels=scene_channels,
        width=8,
    ).eval()


@pytest.fixture
def encoder():
    return new_encoder()


@pytest.fixture
def frames():
    return torch.randint(256, (5, 16, 24, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def sample(mean, std):
    """Pictures whose channels have this mean and (population) deviation."""
    above = torch.arange(2)[:, None, None, None] * 2 - 1
    return (mean[:, None, None] + above * std[:, None, None]).expand(-1, -1, 16, 24).to(torch.uint8)


def stacked(frames):
    """Three stacks of three frames, the oldest first, `[3, 9, 16, 24]`."""
    pixels = frames.permute(0, 3, 1, 2)
    return torch.cat([pixels[:3], pixels[1:4], pixels[2:]], dim=1)


def test_a_channels_last_view_gives_what_a_contiguous_copy_gives(encoder, frames):
    view = frames.permute(0, 3, 1, 2)
    assert not view.is_contiguous()
    for part, same in zip(encoder(view), encoder(view.contiguous()), strict=True):
        assert torch.allclose(part, same, atol=1e-5)


def test_standardisation_in_the_weights_is_standardisation_of_the_pixels(encoder, frames):
    pixels = frames.permute(0, 3, 1, 2).double()
    mean, std = torch.tensor([10.0, 120.0, 200.0]), torch.tensor([5.0, 40.0, 20.0])
    encoder.standardise_by(sample(mean, std))
    encoder.double()
    std = sample(mean, std).double().std((0, 2, 3))  # of a sample: a little more
    explicit = (pixels - mean[:, None, None]) / std[:, None, None]
    expected = torch.conv2d(explicit, encoder.stem.weight, encoder.stem.bias, stride=2, padding=2)
    inner = encoder._standardised(pixels)[:, :, 1:-1, 1:-1]
    assert torch.allclose(inner, expected[:, :, 1:-1, 1:-1], atol=1e-6)


def test_pixels_that_hardly_vary_are_not_blown_up(encoder):
    encoder.standardise_by(torch.full((4, 3, 16, 24), 7, dtype=torch.uint8))
    assert encoder.pixel_scale.tolist() == [1.0, 1.0, 1.0]


def test_each_picture_is_encoded_alone(encoder, frames):
    pixels = frames.permute(0, 3, 1, 2)
    (moving, scene), (moving_alone, scene_alone) = encoder(pixels), encoder(pixels[3:4])
    assert torch.allclose(moving[3:4], moving_alone, atol=1e-5)
    assert torch.allclose(scene[3:4], scene_alone, atol=1e-5)
    assert moving.shape == (5, 6) == (5, encoder.size)
    assert scene.shape == (5, 2, 8, 12) == (5, *encoder.scene_shape)


def test_the_scene_does_not_depend_on_older_frames(frames):
    encoder, stacks = new_encoder(frames=3), stacked(frames)
    changed = stacks.clone()
    changed[:, :6] = 255 - changed[:, :6]
    (moving, scene), (other_moving, other_scene) = encoder(stacks), encoder(changed)
    assert torch.equal(scene, other_scene)
    assert not torch.allclose(moving, other_moving, atol=1e-3)


def test_the_scene_is_normalised_and_of_where_the_picture_changed(encoder, frames):
    pixels = frames.permute(0, 3, 1, 2)
    scene = encoder(pixels)[1]
    assert torch.allclose(scene.mean((1, 2, 3)), torch.zeros(5), atol=1e-5)
    assert torch.allclose(scene.var((1, 2, 3), correction=0), torch.ones(5), atol=5e-3)
    changed = pixels.clone()
    changed[..., :2, :2] = 255 - changed[..., :2, :2]
    before, after = (encoder.scene(encoder.features(each)[:, -1]) for each in (pixels, changed))
    assert torch.equal(before[..., 6:, 6:], after[..., 6:, 6:])
    assert not torch.allclose(before[..., :2, :2], after[..., :2, :2], atol=1e-3)


def test_without_scene_channels_there_is_no_scene(frames):
    moving, scene = new_encoder(scene_channels=0)(frames.permute(0, 3, 1, 2))
    assert scene is None
    assert moving.shape == (5, 6)


def test_every_parameter_learns(encoder, frames):
    moving, scene = encoder.double()(frames.permute(0, 3, 1, 2))
    ramp = torch.linspace(-1, 1, scene[0].numel(), dtype=torch.float64).view_as(scene[0])
    (moving.square().sum() + (scene * ramp).sum()).backward()
    assert [name for name, value in encoder.named_parameters() if not value.grad.abs().max() > 1e-9] == []


@pytest.mark.parametrize("size", [(15, 24), (16, 23)])
def test_a_size_that_is_not_even_is_an_error_that_says_so(size):
    with pytest.raises(ValueError, match=rf"even; got \({size[0]}, {size[1]}\)"):
        KeypointEncoder(channels=3, image_size=size)


def test_sharper_heat_maps_begin_where_the_same_features_are_and_tell_places_further_apart(frames):
    def poses(sharpness):
        torch.manual_seed(0)
        encoder = Keypoints(sharpness=sharpness).build(channels=3, image_size=(16, 24), frames=1).eval()
        assert (encoder.heat.weight >= 0).all()
        with torch.no_grad():
            return encoder.pose(encoder.features_of(frames.permute(0, 3, 1, 2)))

    even, sharp = poses(0.01), poses(4.0)
    assert sharp.std() > 50 * even.std()
    with pytest.raises(ValueError, match="sharpness must be positive and finite"):
        Keypoints(sharpness=0.0)
