"""The vision transformer: see tests/test_interchange.py for what its embeddings are."""

import pytest
import torch

from telos.perception import Patches

SMALL = {
    "size": 5,
    "resolution": 16,
    "grid": 4,
    "patch": 4,
    "width": 8,
    "depth": 1,
    "heads": 2,
    "projection": 6,
}


def new_encoder(*, channels=3, frames=1, **changes):
    torch.manual_seed(0)
    settings = Patches(**{**SMALL, **changes})
    return settings.build(channels=channels, image_size=(16, 16), frames=frames).eval()


def pictures(*shape):
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def test_frames_of_another_size_are_resized():
    encoder = new_encoder()
    small = pictures(2, 3, 8, 8)
    large = torch.nn.functional.interpolate(small.float(), (16, 16), mode="bilinear", align_corners=False)
    torch.testing.assert_close(encoder(small)[0], encoder(large)[0])


def test_fewer_patches_than_there_are_places_for_share_the_places():
    encoder = new_encoder(resolution=8)
    state, scene = encoder(pictures(2, 3, 16, 16))
    assert state.shape == (2, 5)
    assert scene is None


def test_where_a_patch_is_matters():
    encoder, frames = new_encoder(), pictures(1, 3, 16, 16)
    assert not torch.allclose(encoder(frames)[0], encoder(frames.roll(4, -1))[0])


def test_several_frames_give_what_changes_too():
    assert new_encoder(frames=2, channels=1)(pictures(2, 2, 16, 16))[0].shape == (2, 10)


@pytest.mark.parametrize("change", [{"patch": 0}, {"heads": 3}, {"resolution": 3}])
def test_impossible_sizes_are_refused(change):
    with pytest.raises(ValueError, match=r"must be .*; got"):
        Patches(**{**SMALL, **change})
