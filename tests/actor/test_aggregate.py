import pytest
import torch

from telos.actor import cvar, mean, worst_case

ENERGY = torch.tensor([[[4.0, 1.0, 3.0, 2.0]]])


def test_mean_and_worst_case():
    assert mean(ENERGY).tolist() == [[2.5]]
    assert worst_case(ENERGY).tolist() == [[4.0]]


@pytest.mark.parametrize(
    ("alpha", "expected"), [(0.25, 4.0), (0.5, 3.5), (1.0, 2.5), (0.01, 4.0), (0.3, 11 / 3)]
)
def test_cvar_is_the_mean_of_the_worst_share(alpha, expected):
    # 0.3 of four futures are 1.2 of them: (4 + 0.2 * 3) / 1.2
    expected = (4 + 0.2 * 3) / 1.2 if alpha == 0.3 else expected
    assert cvar(alpha)(ENERGY).item() == pytest.approx(expected)


def test_cvar_of_one_future_is_that_future():
    assert cvar(0.5)(ENERGY[..., :1]).tolist() == [[4.0]]


@pytest.mark.parametrize("aggregate", [mean, worst_case, cvar(0.5)])
def test_a_future_that_is_not_finite_is_not_hidden(aggregate):
    assert not torch.isfinite(aggregate(torch.tensor([[[1.0, torch.nan, 2.0]]]))).any()


@pytest.mark.parametrize("alpha", [0.0, -1.0, 1.5])
def test_alpha_out_of_range_is_an_error(alpha):
    with pytest.raises(ValueError, match=r"alpha must be in \(0, 1\]"):
        cvar(alpha)
