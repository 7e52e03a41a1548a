"""The energy of the first stage: its terms, and what they train."""

from functools import partial

import pytest
import torch

from telos import ssl
from telos.model import Model, ModelConfig
from telos.perception import Keypoints
from telos.training import Representation, Weights
from telos.training.methods import VarianceCovariance, VICReg
from telos.training.representation import RepresentationLoss
from telos.types import ActionSpace
from telos.world_model import Glimpse, unroll


def new_model(*, frames=1, scene_channels=2, **changes):
    torch.manual_seed(0)
    model = Model(
        ModelConfig(
            world="test",
            frame_shape=(16, 16, 3),
            action_space=ActionSpace((-2.0, -2.0), (2.0, 2.0), block=2),
            frames=frames,
            perception=Keypoints(scene_channels=scene_channels),
            predictor=Glimpse(hidden=16),
            **changes,
        )
    )
    for value in model.predictors.parameters():
        torch.nn.init.normal_(value, std=0.2)
    return model


def batch(frames=1):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (4, 4, 3 * frames, 16, 16), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(4, 3, 4, generator=generator)


DEFAULT = Representation()
pytestmark = pytest.mark.usefixtures("single_precision")
SCENE_AT = torch.tensor([0, 3, 1, 2])


def energy(model, pixels, actions, settings=DEFAULT):
    """The loss of windows, its terms and the states."""
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    learner = RepresentationLoss(model, settings).to(next(model.parameters()).dtype)
    return learner(pixels, actions, scene_at=SCENE_AT, generator=generator)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    method = VarianceCovariance(prediction=1.5, covariance=0.3)
    weights = Weights(inverse=3.0, endpoint=0.7, temporal=0.2, curvature=0.4)
    loss, terms, _ = energy(new_model(), *batch(), Representation(method=method, weights=weights, horizon=3))
    asked = {"prediction": 1.5, "variance": 1.0, "covariance": 0.3, **vars(weights)}
    assert set(terms) == set(asked)
    assert loss.item() == pytest.approx(sum(asked[name] * terms[name].item() for name in terms), rel=1e-5)


def test_a_term_that_weighs_nothing_is_not_asked():
    nothing = Weights(inverse=0.0, temporal=0.0)
    _, terms, _ = energy(new_model(recovered="none"), *batch(), Representation(weights=nothing))
    assert set(terms) == {"prediction", "variance", "covariance"}
    with pytest.raises(ValueError, match=r"weights\.inverse must be 0 where the model tells no actions"):
        energy(new_model(recovered="none"), *batch())


def test_the_end_points_tell_all_scaled_actions_of_the_window():
    model, (pixels, actions) = new_model(), batch()
    settings = Representation(weights=Weights(endpoint=1.0), horizon=3)
    torch.manual_seed(0)
    learner = RepresentationLoss(model, settings)
    _, terms, states = learner(pixels, actions, scene_at=SCENE_AT, generator=torch.Generator())
    told = learner.endpoint(torch.cat([states[:, 0], states[:, -1]], dim=-1))
    expected = (told - actions.flatten(1) / 2).square().sum(
        -1
    ).mean() / 6  # of 6 actions, of two numbers each
    assert torch.allclose(terms["endpoint"], expected, rtol=1e-4)


@pytest.mark.parametrize(("frames", "window"), [(1, True), (2, True), (2, False)])
def test_each_term_is_of_what_moves(frames, window):
    model, (pixels, actions) = new_model(frames=frames), batch(frames)
    settings = Representation(method=VarianceCovariance(deviation=0.5), around_window_mean=window)
    _, terms, states = energy(model, pixels, actions, settings)
    each = torch.stack([model.encoder(pixels[:, t])[0] for t in range(4)], dim=1)
    pose = each[..., : model.config.pose_size]
    around = pose - pose.mean(1, keepdim=True) if window else pose
    recovered = model.inverse(each[:, :-1], each[:, 1:])
    assert torch.allclose(states, each, atol=1e-5)
    assert torch.allclose(terms["inverse"], (recovered - actions / 2).abs().mean(), rtol=1e-4)
    assert torch.allclose(terms["variance"], ssl.variance_loss(around, target=0.5), rtol=1e-4)
    assert torch.allclose(terms["covariance"], ssl.covariance_loss(around), rtol=1e-2)
    assert torch.allclose(terms["temporal"], ssl.temporal_similarity_loss(pose), rtol=1e-3)


def test_of_a_block_whose_mean_action_is_recovered_only_that_is_asked():
    model, (pixels, actions) = new_model(recovered="mean"), batch()
    mean = actions.unflatten(-1, (2, 2)).mean(-2)
    each = torch.stack([model.encoder(pixels[:, t])[0] for t in range(4)], dim=1)
    recovered = model.inverse(each[:, :-1], each[:, 1:])
    assert recovered.shape == mean.shape
    _, terms, _ = energy(model, pixels, actions)
    assert torch.allclose(terms["inverse"], (recovered - mean / 2).abs().mean(), rtol=1e-4)


@pytest.mark.parametrize("scene_channels", [0, 2])
def test_prediction_is_in_the_scene_of_the_frame_that_was_drawn(scene_channels):
    model, (pixels, actions) = new_model(scene_channels=scene_channels), batch()
    _, terms, _ = energy(model, pixels, actions)
    each = torch.stack([model.encoder(pixels[:, t])[0] for t in range(4)], dim=1)
    scene = model.encoder(pixels[torch.arange(4), SCENE_AT])[1]
    imagined = unroll(partial(model.predictor, scene=scene), each[:, None, 0], actions[:, None])[:, 0]
    expected = ssl.relative_prediction_loss(imagined[:, 1:], each[:, 1:])
    assert torch.allclose(terms["prediction"], expected, rtol=1e-4)
    _, terms, _ = energy(model, pixels, actions, Representation(around_window_mean=False))
    expected = ssl.relative_prediction_loss(imagined[:, 1:], each[:, 1:], around_window_mean=False)
    assert torch.allclose(terms["prediction"], expected, rtol=1e-4)


def test_every_learned_parameter_has_a_gradient():
    model = new_model().double()
    pixels, actions = batch()
    energy(model, pixels, actions.double())[0].backward()
    assert [name for name, value in model.named_parameters() if not value.grad.abs().max() > 1e-9] == []


def test_the_indicators_states_hold_no_gradient():
    _, terms, states = energy(new_model(), *batch())
    assert not states.requires_grad
    assert all(term.requires_grad for term in terms.values())


def test_the_scene_is_learned_by_predicting_alone():
    model = new_model()
    _, terms, _ = energy(model, *batch())
    for name, term in terms.items():
        (found,) = torch.autograd.grad(term, model.encoder.scene.weight, retain_graph=True, allow_unused=True)
        assert (found is not None and found.abs().sum() > 0) == (name == "prediction")


def test_how_far_ahead_states_are_imagined_grows_as_training_goes_on():
    model, (pixels, actions) = new_model(), batch()
    learner = RepresentationLoss(model, Representation(horizon=3, ahead=(1, 3)))
    at = {
        done: learner.see(pixels, actions, SCENE_AT, progress=done).imagined for done in (0.0, 0.49, 0.5, 1.0)
    }
    assert torch.equal(at[0.0], at[0.49])
    assert torch.equal(at[0.5], at[1.0])
    assert torch.allclose(at[0.0][:, 1], at[0.5][:, 1], atol=1e-6)
    assert not torch.allclose(at[0.0][:, 3], at[0.5][:, 3], atol=1e-4)
    whole = RepresentationLoss(model, Representation(horizon=3)).see(pixels, actions, SCENE_AT).imagined
    assert torch.allclose(at[0.5], whole, atol=1e-6)


@pytest.mark.parametrize("ahead", [(), (0,), (1, -1)])
def test_imagining_no_step_ahead_is_refused(ahead):
    with pytest.raises(ValueError, match="ahead must be None, or one or more"):
        Representation(ahead=ahead)


def test_until_the_method_joins_what_is_beside_it_is_learned_alone():
    settings = Representation(joins=0.5)
    learner = RepresentationLoss(new_model(), settings)
    told = partial(learner, *batch(), scene_at=SCENE_AT, generator=torch.Generator())
    before, terms, _ = told(progress=0.49)
    beside = ("inverse", "temporal")
    expected = sum(getattr(settings.weights, name) * terms[name] for name in beside)
    assert set(terms) > set(beside)
    assert torch.allclose(before, expected)
    after, _, _ = told(progress=0.5)
    assert torch.allclose(after, expected + terms["prediction"] + terms["variance"])


def test_what_a_method_alone_trains_has_no_gradient_until_it_joins():
    """Not one of zeros: Adam would count it, and its first steps would be several times the learning rate."""
    learner = RepresentationLoss(new_model(), Representation(joins=0.5, method=VICReg()))
    told = partial(learner, *batch(), scene_at=SCENE_AT, generator=torch.Generator())
    told(progress=0.49)[0].backward()
    waiting = [*learner.model.predictor.parameters(), *learner.criterion.parameters()]
    assert all(value.grad is None for value in waiting)
    without = {name for name, value in learner.named_parameters() if value.grad is None}
    assert "model.encoder.scene.weight" in without
    assert any(value.grad is not None for value in learner.model.encoder.parameters())
    told(progress=0.5)[0].backward()
    assert all(value.grad is not None for value in waiting)


def test_a_method_that_joins_later_needs_something_that_goes_first():
    with pytest.raises(ValueError, match="joins must be 0 where nothing is asked beside the method"):
        Representation(joins=0.5, weights=Weights(inverse=0.0, temporal=0.0))


@pytest.mark.parametrize("joins", [-0.1, 1.0])
def test_a_method_joins_within_the_updates(joins):
    with pytest.raises(ValueError, match="joins must be a share of the updates"):
        Representation(joins=joins)
