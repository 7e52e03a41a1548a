"""The energy of the first stage: its terms, and what they train."""

from dataclasses import replace

import pytest
import torch

from telos import ssl
from telos.model import Model, ModelConfig
from telos.training import Weights
from telos.training.representation import representation_loss
from telos.types import ActionSpace
from telos.world_model import unroll


def new_model(slow=4):
    torch.manual_seed(0)
    return Model(
        ModelConfig(
            world="test",
            frame_shape=(16, 16, 3),
            action_space=ActionSpace((-2.0, -2.0), (2.0, 2.0), block=2),
            state_size=10,
            slow_size=slow,
            encoder_width=8,
            predictor_hidden=16,
        )
    )


def batch():
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randint(256, (4, 4, 3, 16, 16), dtype=torch.uint8, generator=generator)
    return pixels, torch.randn(4, 3, 4, generator=generator)


@pytest.fixture(autouse=True)
def single_precision(monkeypatch):
    monkeypatch.setattr(Model, "precision", lambda self: torch.autocast("cpu", enabled=False))


def test_the_loss_is_the_weighted_sum_of_its_terms():
    weights = Weights(prediction=1.5, slow_invariance=0.3)
    loss, terms, _ = representation_loss(new_model(), *batch(), weights)
    assert set(terms) == set(vars(weights)) - {"fast_deviation", "around_window_mean"}
    expected = sum(getattr(weights, name) * term.item() for name, term in terms.items())
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_each_term_sees_its_part_of_the_state():
    model, (pixels, actions) = new_model(), batch()
    _, terms, states = representation_loss(model, pixels, actions, Weights())
    each = torch.stack([model.encoder(pixels[:, t]) for t in range(4)], dim=1)
    slow, fast = each[..., :4], each[..., 4:]
    imagined = unroll(model.predictor, each[:, 0], actions)
    assert torch.allclose(states, each, atol=1e-5)
    error = (imagined - each)[:, 1:].square()
    assert torch.allclose(terms["prediction"], error[..., 4:].mean(), rtol=1e-4)
    assert torch.allclose(terms["slow_prediction"], error[..., :4].mean(), rtol=1e-4)
    assert torch.allclose(terms["slow_variance"], ssl.variance_loss(slow), rtol=1e-4)
    assert torch.allclose(terms["slow_invariance"], ssl.invariance_loss(slow), rtol=1e-3)
    assert torch.allclose(terms["temporal"], ssl.temporal_similarity_loss(fast), rtol=1e-3)
    moving = ssl.variance_loss(fast - fast.mean(1, keepdim=True), target=0.5)
    assert torch.allclose(terms["variance"], moving, rtol=1e-4)


def test_every_learned_parameter_has_a_gradient():
    model = new_model()
    representation_loss(model, *batch(), Weights())[0].backward()
    assert [name for name, value in model.named_parameters() if not value.grad.abs().sum() > 0] == []


def test_the_indicators_states_hold_no_gradient():
    _, terms, states = representation_loss(new_model(), *batch(), Weights())
    assert not states.requires_grad
    assert all(term.requires_grad for term in terms.values())


def test_without_a_slow_part_its_terms_are_absent():
    _, terms, _ = representation_loss(new_model(slow=0), *batch(), replace(Weights(), slow_variance=1e9))
    assert not any(name.startswith("slow") for name in terms)
