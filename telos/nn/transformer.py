"""Transformer blocks: plain ones, and ones that are conditioned by adaptive layer normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos.nn.attention import attention


class TransformerBlock(nn.Module):
    """Attention among all tokens and an MLP, each after a normalisation: `[N, T, D]` to the same shape."""

    def __init__(self, size: int, *, heads: int, hidden: int, epsilon: float = 1e-6) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(size, eps=epsilon)
        self.qkv = nn.Linear(size, 3 * size)
        self.out = nn.Linear(size, size)
        self.before_mlp = nn.LayerNorm(size, eps=epsilon)
        self.mlp = nn.Sequential(nn.Linear(size, hidden), nn.GELU(), nn.Linear(hidden, size))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add what the tokens tell each other."""
        query, key, value = _heads(self.qkv(self.before_attention(tokens)), 3, self.heads)
        told = attention(query, key, value)
        tokens = tokens + self.out(told.transpose(1, 2).flatten(2))
        return tokens + self.mlp(self.before_mlp(tokens))


@dataclass(frozen=True)
class Seen:
    """The keys and values of earlier tokens, `[N, heads, T, head]`."""

    key: Tensor
    value: Tensor


class ConditionedBlock(nn.Module):
    """A causal block whose normalisations are shifted, scaled and gated by a condition (AdaLN-zero).

    As in DiT (Peebles and Xie 2023, arXiv 2212.09748): six vectors per token, linear in the activated
    condition, which begin at zero, so that a new block changes nothing. The normalised and modulated
    tokens are normalised once more, with a scale, before they go into attention and the MLP; that is how
    LeWM (arXiv 2603.19312) has it.
    """

    def __init__(self, size: int, *, heads: int, head_size: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * head_size
        self.first = nn.LayerNorm(size, elementwise_affine=False, eps=1e-6)
        self.before_attention = nn.LayerNorm(size)
        self.qkv = nn.Linear(size, 3 * inner, bias=False)
        self.out = nn.Linear(inner, size)
        self.second = nn.LayerNorm(size, elementwise_affine=False, eps=1e-6)
        self.before_mlp = nn.LayerNorm(size)
        self.expand = nn.Linear(size, hidden)
        self.contract = nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)
        self.condition = nn.Linear(size, 6 * size)
        nn.init.zeros_(self.condition.weight)
        nn.init.zeros_(self.condition.bias)

    def modulations(self, condition: Tensor) -> Tensor:
        """Shift, scale and gate of attention, then of the MLP, `[N, T, 6 * D]`, of conditions `[N, T, D]`."""
        return self.condition(nn.functional.silu(condition))

    def forward(
        self, tokens: Tensor, modulations: Tensor, seen: Seen | None = None, *, last: bool = False
    ) -> tuple[Tensor, Seen]:
        """Tokens `[N, T, D]` to the same shape, and the keys and values of all tokens so far.

        Args:
            tokens: the newest tokens, oldest first, in groups of one or more that see each other and all
                before them. With `seen` there may be one group only.
            modulations: one of each group, `[N, T / group, 6 * D]`.
            seen: keys and values of the tokens before them.
            last: only the last group is wanted: `[N, group, D]` comes back.
        """
        group = tokens.shape[1] // modulations.shape[1]
        if group > 1:
            modulations = modulations.repeat_interleave(group, 1)
        shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulations.chunk(6, dim=-1)
        inside = self.before_attention(_modulated(self.first(tokens), shift, scale))
        query, key, value = _heads(self.qkv(inside), 3, self.heads)
        if seen is not None:
            assert tokens.shape[1] == group, "after cached tokens they come one group at a time"
            key, value = torch.cat([seen.key, key], 2), torch.cat([seen.value, value], 2)
        if last:
            query, tokens = query[:, :, -group:], tokens[:, -group:]
            gate, mlp_gate = gate[:, -group:], mlp_gate[:, -group:]
            mlp_shift, mlp_scale = mlp_shift[:, -group:], mlp_scale[:, -group:]
        several = query.shape[2] > group
        told = attention(
            query,
            key,
            value,
            mask=_grouped(query.shape[2], group, query.device) if several and group > 1 else None,
            causal=several and group == 1,
            dropout=self.dropout.p if self.training else 0.0,
        )
        tokens = tokens + gate * self.dropout(self.out(told.transpose(1, 2).flatten(2)))
        inside = self.before_mlp(_modulated(self.second(tokens), mlp_shift, mlp_scale))
        hidden = self.dropout(nn.functional.gelu(self.expand(inside)))
        return tokens + mlp_gate * self.dropout(self.contract(hidden)), Seen(key, value)


def _heads(joined: Tensor, parts: int, heads: int) -> tuple[Tensor, ...]:
    """`[N, T, parts * heads * head]` to `parts` tensors `[N, heads, T, head]`."""
    return joined.unflatten(-1, (parts, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)


def _grouped(time: int, group: int, device: torch.device) -> Tensor:
    """Who sees whom, `[time, time]`: groups of tokens see themselves and those before them."""
    number = torch.arange(time, device=device) // group
    return number[:, None] >= number


def _modulated(normalised: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    return torch.addcmul(normalised + shift, normalised, scale)
