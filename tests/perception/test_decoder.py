"""The decoder draws pictures of the frame's size and can learn one."""

import torch

from telos.perception import BroadcastDecoder


def decoder(size=(16, 24)):
    torch.manual_seed(0)
    return BroadcastDecoder(state_size=6, channels=3, image_size=size, width=8)


def test_pictures_have_the_frames_size():
    assert decoder()(torch.zeros(4, 6)).shape == (4, 3, 16, 24)


def test_each_state_is_drawn_alone():
    states = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    model = decoder()
    assert torch.allclose(model(states)[2:3], model(states[2:3]), atol=1e-5)


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
