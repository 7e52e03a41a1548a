import pytest
import torch

from telos.actor import Coloured, Gaussian, Knots, Segments, Variations, Wander
from telos.actor.proposals import Belief, Means, Mixture
from telos.types import ActionSpace

BALL = ActionSpace((-2.0, -2.0), (2.0, 2.0), max_norm=2.0, block=3)
FREE = ActionSpace((0.0, -1.0), (4.0, 1.0), block=3, held=False)


def belief(space=BALL, batch=2, plans=3, horizon=8):
    mean = torch.randn(batch, plans, horizon, space.size, generator=torch.Generator().manual_seed(1))
    return Belief(space.project(mean), torch.full_like(mean, 0.5), space)


def draw(propose, belief, count=50):
    return propose(belief, count, torch.Generator().manual_seed(0))


@pytest.mark.parametrize("space", [BALL, FREE])
@pytest.mark.parametrize("horizon", [1, 2, 8])
@pytest.mark.parametrize(
    "propose",
    [Means(), Gaussian(), Gaussian(Coloured(2.0)), Gaussian(Knots(4)), Wander(), Segments(), Variations()],
)
def test_candidates_have_the_right_shape_and_are_reproducible(propose, space, horizon):
    around = belief(space, horizon=horizon)
    one, same = draw(propose, around, 7), draw(propose, around, 7)
    assert one.shape == (2, 7, horizon, space.size)
    assert torch.isfinite(one).all()
    assert torch.equal(one, same)


def test_gaussian_noise_has_the_spread_of_the_belief():
    around = belief(plans=1)
    for correlation in (None, Coloured(1.0), Coloured(2.0), Knots(4)):
        noise = draw(Gaussian(correlation), around, 4000) - around.mean
        torch.testing.assert_close(noise.std(1), around.std[:, 0], atol=0.04, rtol=0)


@pytest.mark.parametrize(
    ("exponent", "low", "high"), [(0.0, -0.05, 0.05), (1.0, 0.3, 0.7), (2.0, 0.75, 0.99)]
)
def test_coloured_noise_is_correlated_from_step_to_step(exponent, low, high):
    covariance = Coloured(exponent)(20) @ Coloured(exponent)(20).T
    assert low < covariance.diagonal(1).mean() < high
    torch.testing.assert_close(covariance.diagonal(), torch.ones(20))


def test_coloured_noise_has_the_spectrum_it_says():
    noise = Coloured(2.0)(64) @ torch.randn(64, 4000, generator=torch.Generator().manual_seed(0))
    power = torch.fft.rfft(noise * torch.hann_window(64)[:, None], dim=0).abs().square().mean(1)[2:20]
    slope = torch.linalg.lstsq(
        torch.stack([torch.arange(2.0, 20).log(), torch.ones(18)], 1), power.log()[:, None]
    ).solution[0]
    assert -2.4 < slope < -1.6


def test_wandering_is_mostly_at_full_speed_turns_smoothly_and_has_calm_ones():
    actions = BALL.project(draw(Wander(), belief(horizon=20), 400))
    speed = torch.linalg.vector_norm(actions, dim=-1)
    assert (speed > 1.99).float().mean() > 0.5
    assert (speed.mean(-1) < 0.5).any()
    turn = torch.nn.functional.cosine_similarity(actions[:, :, 1:], actions[:, :, :-1], dim=-1)
    assert turn.mean() > 0.6


def test_segments_are_piecewise_constant():
    actions = draw(Segments(most=3), belief(horizon=12), 200)
    pieces = 1 + (actions.diff(dim=2) != 0).any(-1).sum(-1)
    assert set(pieces.unique().tolist()) == {1, 2, 3}


def test_fresh_proposals_cover_a_box_that_is_not_centred():
    for propose in (Wander(), Segments()):
        actions = FREE.project(draw(propose, belief(FREE), 400))
        torch.testing.assert_close(actions.mean((0, 1, 2))[:2], torch.tensor([2.0, 0.0]), atol=0.2, rtol=0)


def test_a_redrawn_plan_keeps_its_head():
    around = belief(plans=1)
    changed = (draw(Variations(redraw=1.0, shift=0.0), around) != around.mean).any(-1)
    assert (changed.long().diff(dim=-1) >= 0).all()  # once changed, changed to the end
    assert 0.2 < changed.float().mean() < 0.8


def test_a_nudged_plan_differs_by_one_action_over_one_stretch():
    around = belief(plans=1)
    nudge = draw(Variations(redraw=0.0, shift=0.0), around) - around.mean
    changed = (nudge.abs() > 1e-5).any(-1)
    assert (changed.long().diff(dim=-1).abs().sum(-1) <= 2).all()
    size = torch.linalg.vector_norm(nudge, dim=-1).amax(-1)
    assert size.max() <= 2.0 + 1e-5
    assert size.min() < 0.1


def test_a_shifted_plan_is_the_same_actions_at_other_times():
    around = belief(plans=1, horizon=6)
    shifted = draw(Variations(redraw=0.0, shift=1.0), around)
    same = (shifted[:, :, :, None] == around.mean[:, :, None]).all(-1)  # [B, S, T, T]
    assert same.any(-1).all()
    assert (same.float().argmax(-1).diff(dim=-1) >= -3).all()
    assert (shifted != around.mean).any()


def test_a_mixture_draws_its_shares_in_order():
    around = belief()
    actions = draw(Mixture(((1, Means()), (9, Gaussian()))), around, 20)
    assert torch.equal(actions[:, :2], around.mean[:, :2])
    assert (actions[:, 2:] != around.mean[:, [2, 0, 1] * 6]).any(-1).all()
    assert draw(Mixture(((1, Means()), (0, Gaussian()))), around, 1).shape[1] == 1


def test_the_means_are_drawn_in_turn():
    around = belief(plans=3)
    assert torch.equal(draw(Means(), around, 4), around.mean[:, [0, 1, 2, 0]])
