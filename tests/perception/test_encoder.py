"""What every encoder must do."""

import pytest
import torch

from telos.perception import FeatureEncoder, KeypointEncoder, Residual
from telos.perception.encoder import RATE_SCALE

SIZE = (16, 24)
KINDS = {
    "keypoints": lambda frames: KeypointEncoder(channels=3, image_size=SIZE, frames=frames, keypoints=3),
    "features": lambda frames: FeatureEncoder(channels=3, image_size=SIZE, frames=frames, features=6),
    "residual": lambda frames: Residual(6, (4,), 1).build(channels=3, image_size=SIZE, frames=frames),
}
POSE = 6


@pytest.fixture(params=KINDS)
def new(request, frames):
    def made(number):
        torch.manual_seed(0)
        encoder = KINDS[request.param](number)
        encoder.standardise_by(frames.permute(0, 3, 1, 2))
        return encoder.eval()

    return made


@pytest.fixture
def frames():
    return torch.randint(256, (5, *SIZE, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def stacked(frames):
    """Three stacks of three frames, the oldest first, `[3, 9, 16, 24]`."""
    pixels = frames.permute(0, 3, 1, 2)
    return torch.cat([pixels[:3], pixels[1:4], pixels[2:]], dim=1)


def test_a_channels_last_view_gives_what_a_contiguous_copy_gives(new, frames):
    view, encoder = frames.permute(0, 3, 1, 2), new(1)
    assert not view.is_contiguous()
    assert torch.allclose(encoder(view)[0], encoder(view.contiguous())[0], atol=1e-5)


def test_each_picture_is_encoded_alone(new, frames):
    pixels, encoder = frames.permute(0, 3, 1, 2), new(1)
    together, alone = encoder(pixels)[0], encoder(pixels[3:4])[0]
    assert together.shape == (5, POSE) == (5, encoder.size)
    assert torch.allclose(together[3:4], alone, atol=1e-5)
    assert (together.amax(0) - together.amin(0)).min() > 1e-4  # different pictures have different poses


def test_what_moves_begins_with_the_pose_of_the_last_frame(new, frames):
    moving, alone = new(3)(stacked(frames))[0], new(1)(frames[2:].permute(0, 3, 1, 2))[0]
    assert torch.allclose(moving[:, :POSE], alone, atol=1e-5)


def test_velocities_are_the_differences_of_the_poses_of_each_frame(new, frames):
    moving = new(3)(stacked(frames))[0]
    poses = new(1)(frames.permute(0, 3, 1, 2))[0]
    last, before = poses[2:] - poses[1:-1], poses[1:-1] - poses[:-2]
    assert torch.allclose(moving[:, POSE : 2 * POSE], RATE_SCALE * last, atol=1e-4)
    assert torch.allclose(moving[:, 2 * POSE :], RATE_SCALE * before, atol=1e-4)
    assert last.abs().max() > 1e-3


def test_every_parameter_learns(new, frames):
    encoder = new(1).train().double()
    moving, scene = encoder(frames.permute(0, 3, 1, 2))
    total = (moving * torch.arange(1.0, 1 + len(moving))[:, None]).square().sum()
    if scene is not None:
        total = total + (scene * torch.linspace(-1, 1, scene[0].numel()).view_as(scene[0])).sum()
    total.backward()
    assert [name for name, value in encoder.named_parameters() if not value.grad.abs().max() > 1e-9] == []


def test_micro_batches_are_encoded_one_by_one_twice_to_the_same_gradient(monkeypatch):
    torch.manual_seed(0)
    encoder = KeypointEncoder(channels=3, image_size=SIZE)
    pixels = torch.randint(256, (7, 3, *SIZE), dtype=torch.uint8)

    def gradients():
        encoder.zero_grad()
        encoder.features(pixels).square().mean().backward()
        return {name: value.grad for name, value in encoder.named_parameters() if value.grad is not None}

    whole, sizes, features_of = gradients(), [], encoder.features_of
    monkeypatch.setattr(encoder, "features_of", lambda part: sizes.append(len(part)) or features_of(part))
    encoder.micro_batches = 3
    torch.testing.assert_close(gradients(), whole)
    assert sorted(sizes) == [1, 1, 3, 3, 3, 3]
    with torch.no_grad():
        encoder.features(pixels)
    assert sizes[-1] == 7
