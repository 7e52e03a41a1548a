"""The decoder draws pictures of the frame's size and can learn one."""

import pytest
import torch

from telos.perception import BroadcastDecoder


def decoder(size=(16, 24), *, scene_channels=0):
    torch.manual_seed(0)
    return BroadcastDecoder(state_size=6, channels=3, image_size=size, scene_channels=scene_channels, width=8)


def noise(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scene", [None, noise(4, 2, 8, 12)])
def test_pictures_have_the_frames_size(scene):
    model = decoder(scene_channels=0 if scene is None else 2)
    assert model(torch.zeros(4, 6), scene).shape == (4, 3, 16, 24)


def test_without_a_scene_frames_may_have_any_size():
    assert decoder((15, 26))(torch.zeros(4, 6)).shape == (4, 3, 15, 26)


def test_each_state_is_drawn_alone():
    model, states, scene = decoder(scene_channels=2), noise(4, 6), noise(4, 2, 8, 12)
    assert torch.allclose(model(states, scene)[2:3], model(states[2:3], scene[2:3]), atol=1e-5)


def test_the_scene_lies_where_it_is_in_the_picture():
    model, states, scene = decoder((96, 96), scene_channels=2), noise(1, 6), noise(1, 2, 48, 48)
    changed = scene.clone()
    changed[..., :2, :2] += 3
    difference = (model(states, changed) - model(states, scene)).abs()
    assert difference[..., :8, :8].amax() > 1e-3
    assert difference[..., 48:, 48:].amax() == 0


def test_two_states_can_be_two_pictures():
    model, states = decoder((8, 8)), torch.eye(6)[:2]
    target = torch.zeros(2, 3, 8, 8)
    target[0, :, :4], target[1, :, 4:] = 1, 1
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = (model(states) - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert float(loss.detach()) < 0.02


@pytest.mark.parametrize("size", [(18, 20), (20, 18)])
def test_with_a_scene_a_size_that_is_not_a_multiple_of_4_is_an_error_that_says_so(size):
    with pytest.raises(ValueError, match=rf"multiples of 4 where .*; got \({size[0]}, {size[1]}\)"):
        decoder(size, scene_channels=2)
