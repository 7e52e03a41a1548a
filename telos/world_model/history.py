"""A predictor that looks back: a causal transformer over the last few states and actions."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos.nn import ConditionedBlock, Seen, projector
from telos.types import ActionSpace
from telos.world_model.predictor import Predictor, action_scale

ROWS = 128
"""At most so many candidates are imagined at once where no gradient is needed."""


@dataclass(frozen=True)
class History:
    """The settings of a `HistoryPredictor`. As given, LeWM's."""

    length: int = 3  # blocks that are looked back on, the present one included
    depth: int = 6
    heads: int = 16
    head_size: int = 64
    hidden: int = 2048
    projection: int = 2048  # hidden units of the projector
    dropout: float = 0.1
    tokens: int = 1  # that a state is made of: 1, or those of patches, as many as perception gives

    def __post_init__(self) -> None:
        for name in ("length", "depth", "heads", "head_size", "hidden", "projection", "tokens"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1; got {getattr(self, name)}.")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1; got {self.dropout}.")

    def build(
        self, *, size: int, frames: int, space: ActionSpace, keypoints: int, scene_channels: int
    ) -> HistoryPredictor:
        """A new predictor of what moves, `[D]` with D = `size`.

        `ValueError` where there is a scene, or D is not made of `tokens`.
        """
        if scene_channels:
            raise ValueError("History knows no scene; give scene_channels=0, or use Glimpse.")
        if size % self.tokens:
            raise ValueError(f"tokens must divide the size of a state, {size}; got {self.tokens}.")
        return HistoryPredictor(self, size=size // self.tokens, space=space)


class HistoryPredictor(Predictor):
    """The next state from at most `length` states and the blocks of actions that followed them.

    The shape of LeWM's predictor (arXiv 2603.19312): states with learned positions in the window are the
    tokens of a causal transformer, conditioned on the actions by AdaLN; a projector gives what comes next.
    Imagining begins with one state, so the window grows to its length and then slides.

    Where a state is N `tokens` of patches, each is a token with a learned place, that sees those of its own
    time and before, as in DINO-WM (arXiv 2411.04983), whose tokens carry the actions instead.

    Imagining does no work twice: actions are embedded, and modulations made, once per candidate and
    block; while the window grows, keys and values of earlier states are kept; when it slides its positions
    change, so all of it is computed again, but in the last layer only for the last state.
    """

    action_mean: Tensor

    def __init__(self, settings: History, *, size: int, space: ActionSpace) -> None:
        """`size` is that of a token."""
        super().__init__()
        self.settings = settings
        self.register_buffer("action_scale", action_scale(space))
        self.register_buffer("action_mean", torch.zeros(space.dimension))
        told = space.dimension * space.block
        self.embed = nn.Sequential(
            nn.Linear(told, 10), nn.Linear(10, 4 * size), nn.SiLU(), nn.Linear(4 * size, size)
        )
        self.places = nn.Parameter(torch.randn(settings.length, size))
        self.patches: nn.Parameter | None = None
        if settings.tokens > 1:
            self.patches = nn.Parameter(torch.randn(settings.tokens, size))
        self.blocks = nn.ModuleList(
            ConditionedBlock(
                size,
                heads=settings.heads,
                head_size=settings.head_size,
                hidden=settings.hidden,
                dropout=settings.dropout,
            )
            for _ in range(settings.depth)
        )
        self.norm = nn.LayerNorm(size)
        self.project = projector(size, settings.projection, size)

    def forward(self, moving: Tensor, blocks: Tensor) -> Tensor:
        """What moves one block after each of `[N, T, D]`, T at most the window: `[N, T, D]`, in parallel.

        `blocks` `[N, T, block * A]` are the actions that follow each state. A prediction sees no later state.
        """
        condition, tokens = self.embedded(blocks), self._placed(moving, 0)
        for block in self._blocks():
            tokens, _ = block(tokens, block.modulations(condition))
        return self._projected(tokens)

    def _placed(self, moving: Tensor, begin: int) -> Tensor:
        """States `[N, T, D]`, the first at `begin` in the window, to tokens `[N, T * tokens, width]`."""
        places = self.places[begin : begin + moving.shape[1], None]
        if self.patches is not None:
            places = places + self.patches
        return (moving.unflatten(-1, (self.settings.tokens, -1)) + places).flatten(1, 2)

    def _projected(self, tokens: Tensor) -> Tensor:
        """Tokens `[N, T * tokens, width]` to states `[N, T, D]`."""
        states = self.project(self.norm(tokens).flatten(0, 1)).unflatten(0, tokens.shape[:2])
        return states.unflatten(1, (-1, self.settings.tokens)).flatten(2)

    def embedded(self, blocks: Tensor) -> Tensor:
        """Blocks of actions `[..., block * A]` to conditions `[..., width]`."""
        each = blocks.unflatten(-1, (-1, len(self.action_scale)))
        return self.embed(((each - self.action_mean) * self.action_scale).flatten(-2))

    def imagine(self, moving: Tensor, blocks: Tensor, scene: Tensor | None) -> Tensor:
        """What moves `[B, S, T+1, D]`. Without gradients, `ROWS` candidates at a time."""
        lead, rows = blocks.shape[:2], blocks.shape[:2].numel() if torch.is_grad_enabled() else ROWS
        begin, blocks = moving.reshape(-1, 1, moving.shape[-1]), blocks.flatten(0, 1)
        parts = zip(begin.split(rows), blocks.split(rows), strict=True)
        return torch.cat([self._imagine(*part) for part in parts]).unflatten(0, lead)

    def _imagine(self, begin: Tensor, blocks: Tensor) -> Tensor:
        """What moves `[N, T+1, D]` from `[N, 1, D]` on, after blocks `[N, T, block * A]`."""
        states, window = [begin], self.settings.length
        conditions = self.embedded(blocks)
        modulations = [block.modulations(conditions) for block in self._blocks()]
        seen: list[Seen | None] = [None] * len(self.blocks)
        for step in range(blocks.shape[1]):
            if step < window:
                tokens, told = self._placed(states[-1], step), slice(step, step + 1)
            else:
                told = slice(step + 1 - window, step + 1)
                tokens = self._placed(torch.cat(states[-window:], 1), 0)
            for layer, block in enumerate(self._blocks()):
                tokens, now = block(
                    tokens,
                    modulations[layer][:, told],
                    seen[layer],
                    last=layer + 1 == len(self.blocks),
                )
                seen[layer] = now if step + 1 < window else None
            states.append(self._projected(tokens).to(begin.dtype))
        return torch.cat(states, 1)

    def _blocks(self) -> list[ConditionedBlock]:
        found = []
        for block in self.blocks:
            assert isinstance(block, ConditionedBlock)
            found.append(block)
        return found
