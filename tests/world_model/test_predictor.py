"""The predictor: what it looks at, what it changes, and where its gradients go."""

import pytest
import torch

from telos.perception.encoder import RATE_SCALE
from telos.perception.keypoints import POSITION_SCALE
from tests.world_model.noisy import new_predictor, noise


@pytest.fixture
def predictor():
    return new_predictor()


@pytest.mark.parametrize("channels", [0, 2])
def test_a_predictor_begins_as_the_identity(channels):
    fresh, scene = new_predictor(trained=False, scene_channels=channels), noise(3, 2, 8, 8)
    states = noise(3, 5, 4)
    assert torch.equal(fresh(states, noise(3, 5, 6), scene if channels else None), states)


def test_a_predictor_of_velocities_begins_by_keeping_them():
    fresh, states = new_predictor(trained=False, scene_channels=0, size=6, frames=3), noise(2, 3, 6)
    pose, last, before = states.unflatten(-1, (3, 2)).unbind(-2)
    found = fresh(states, noise(2, 3, 4), None).unflatten(-1, (3, 2))  # a block of two steps
    assert torch.allclose(found[..., 0, :], pose + 2 * last / RATE_SCALE)
    assert torch.allclose(found[..., 1, :], last)
    assert torch.allclose(found[..., 2, :], last)
    once = fresh(states, noise(2, 3, 2), None).unflatten(-1, (3, 2))
    assert torch.allclose(once[..., 1:, :], torch.stack([last, last], -2))
    assert not torch.allclose(last, before)


def test_a_block_is_its_actions_one_by_one(predictor):
    scene, actions = noise(2, 2, 8, 8), noise(2, 3, 4, 2)
    expected = noise(2, 3, 4)
    for step in range(4):
        expected = predictor.step(expected, actions[:, :, step], scene)
    found = predictor(noise(2, 3, 4), actions.flatten(2), scene)
    assert torch.allclose(found, expected, atol=1e-12)
    assert not torch.allclose(found, noise(2, 3, 4), atol=0.1)


def test_actions_are_scaled_to_about_one(predictor):
    seen = []
    predictor.network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    predictor(noise(1, 1, 4), torch.tensor([[[0.5, 2.0]]], dtype=torch.float64), noise(1, 2, 8, 8))
    assert seen[0][0, 0, 4:6].tolist() == [1.0, 1.0]


def test_a_glimpse_is_the_patch_of_the_scene_around_its_keypoint():
    cell = 2 / 16  # of a scene of 16 x 16, so that the points of a glimpse are a cell apart
    predictor, scene = new_predictor(glimpse=3, span=cell), noise(1, 2, 16, 16)
    (first, second) = ((5, 9), (12, 4))  # column, row
    moving = POSITION_SCALE * ((torch.tensor([*first, *second]) + 0.5) * cell - 1).double()
    found = predictor.glimpses(moving[None, None], scene).unflatten(-1, (2, 2, 3, 3))[0, 0]
    assert torch.allclose(found[:, 0], scene[0, :, 8:11, 4:7], atol=1e-6)
    assert torch.allclose(found[:, 1], scene[0, :, 3:6, 11:14], atol=1e-6)


def test_candidates_share_the_scene_of_their_problem_and_see_no_other(predictor):
    moving, actions, scene = noise(3, 4, 4), noise(3, 4, 6), noise(3, 2, 8, 8)
    together = predictor(moving, actions, scene)
    for problem, candidate in ((0, 3), (1, 0), (2, 2)):
        row, column = slice(problem, problem + 1), slice(candidate, candidate + 1)
        alone = predictor(moving[row, column], actions[row, column], scene[row])
        assert torch.allclose(together[row, column], alone, atol=1e-12)
    other = predictor(moving, actions, scene.roll(1, 0))
    assert (other - together).abs().amax((1, 2)).min() > 1e-3


def test_without_a_scene_only_what_moves_and_the_actions_matter():
    predictor = new_predictor(scene_channels=0)
    moving, actions = noise(2, 3, 4), noise(2, 3, 2)
    expected = predictor.network(torch.cat([moving, actions * torch.tensor([2.0, 0.5])], -1))
    linear = predictor.linear(torch.cat([moving, actions * torch.tensor([2.0, 0.5])], -1))
    assert torch.allclose(predictor(moving, actions, None), moving + linear + 0.1 * expected)


def test_while_training_the_place_of_a_glimpse_has_no_gradient(predictor):
    moving, scene = noise(1, 1, 4).requires_grad_(), noise(1, 2, 8, 8).requires_grad_()
    seen = predictor.train().glimpses(moving, scene).square().sum()
    place, picture = torch.autograd.grad(seen, (moving, scene), allow_unused=True)
    assert place is None
    assert picture.abs().sum() > 0


def test_when_not_training_the_place_of_a_glimpse_has_one(predictor):
    moving, scene = (0.5 * noise(1, 1, 4)).requires_grad_(), noise(1, 2, 8, 8)
    assert torch.autograd.gradcheck(lambda places: predictor.glimpses(places, scene), (moving,))
    predictor.glimpses(moving, scene).square().sum().backward()
    assert moving.grad.abs().min() > 0
