"""Attention by matrix products is the fused one's, in values, gradients and who sees whom."""

import pytest
import torch
from torch import nn

from telos.nn import attention


def tokens(dtype=torch.bfloat16, *, time=5):
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randn(3, 2, 4, time, 8, generator=generator).to(dtype)
    return [part.clone().requires_grad_() for part in drawn]


def plain(query, key, value, seen):
    """The formula, in double precision."""
    scores = torch.einsum("nhtd,nhsd->nhts", query, key) / 8**0.5
    return torch.einsum("nhts,nhsd->nhtd", scores.masked_fill(~seen, -torch.inf).softmax(-1), value)


@pytest.mark.parametrize("who", ["all", "causal", "mask"])
@pytest.mark.parametrize(("dtype", "close"), [(torch.bfloat16, 3e-2), (torch.float64, 1e-12)])
def test_values_and_gradients_are_the_formulas(dtype, close, who):
    seen = torch.ones(5, 5, dtype=torch.bool)
    if who != "all":
        seen = seen.tril() if who == "causal" else torch.eye(5, dtype=torch.bool).roll(1, 0)
    parts, exact = tokens(dtype), [part.detach().double().requires_grad_() for part in tokens(dtype)]
    found = attention(*parts, causal=who == "causal", mask=seen if who == "mask" else None)
    expected = plain(*exact, seen)
    found.double().square().sum().backward()
    expected.square().sum().backward()
    assert found.dtype == dtype
    torch.testing.assert_close(found.double(), expected, rtol=close, atol=close)
    for part, other in zip(parts, exact, strict=True):
        torch.testing.assert_close(part.grad.double(), other.grad, rtol=4 * close, atol=4 * close)


def test_without_anything_to_train_it_is_the_fused_one():
    parts = tokens()
    with torch.no_grad():
        fused = nn.functional.scaled_dot_product_attention(*parts)
        assert torch.equal(attention(*parts), fused)


def test_dropout_hides_tokens_and_keeps_the_mean():
    query, key, _ = tokens(time=200)
    value = torch.ones_like(key)
    torch.manual_seed(0)
    found = attention(query, key, value, dropout=0.5).detach()
    assert abs(float(found.mean()) - 1) < 0.02
    assert float(found.std()) > 0.05
