"""The first stage: learn what to encode, by predicting it."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from telos import ssl
from telos.model import Model
from telos.nn import mlp
from telos.training.config import Representation
from telos.training.methods import Seen
from telos.world_model import HistoryPredictor, unroll_each


class RepresentationLoss(nn.Module):
    """The training energy of windows: a method's terms, and what is asked of states beside it.

    Every method is given the same: what the encoder sees, and what the predictor imagines from the first
    frame and the actions. The scene has no term of its own: what predicting needs of it is learned through
    the predictor's glimpses. It is read from one frame of the window, at random, so that what moves in
    that frame is no part of it.

    Args:
        model: is trained; the parts that only training needs are this module's, beside it.
        settings: method and weights.

    Raises:
        ValueError: actions are asked for of a model that tells none, or the predictor has a history.
    """

    def __init__(self, model: Model, settings: Representation) -> None:
        super().__init__()
        self.model, self.settings = model, settings
        self.criterion = settings.method.build(model)
        if isinstance(model.predictor, HistoryPredictor):
            raise ValueError(
                "Representation imagines each step from the last, and needs a predictor that does not look "
                f"back; got {model.config.predictor}. Give Sketched(...), or another predictor."
            )
        weights, config = settings.weights, model.config
        if weights.inverse and model.inverse is None:
            raise ValueError(
                "weights.inverse must be 0 where the model tells no actions (recovered='none'); got "
                f"{weights.inverse}. Make the model with recovered='each' or 'mean'."
            )
        self.endpoint = None
        if weights.endpoint:
            told = settings.horizon * config.action_space.block * config.action_space.dimension
            self.endpoint = mlp([2 * config.state_size, 256, told])

    def forward(
        self,
        pixels: Tensor,
        actions: Tensor,
        *,
        scene_at: Tensor,
        generator: torch.Generator,
        progress: float = 0.0,
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """The loss, its unweighted terms, and what moves `[B, T+1, D]`.

        Args:
            pixels: uint8 `[B, T+1, frames * C, H, W]`.
            actions: `[B, T, block * A]`.
            scene_at: int64 `[B]` in 0..T, the frame whose scene is used.
            generator: for methods that draw; in the same state in all processes.
            progress: the share of all updates that are done, 0 to 1.
        """
        joined = progress >= self.settings.joins
        seen = self.see(pixels, actions, scene_at, progress=progress, joined=joined)
        with torch.set_grad_enabled(joined and torch.is_grad_enabled()):
            terms = self.criterion(self.model, seen, generator)
        weights = dict(self.criterion.weights) if joined else {}
        for name, term in self.beside(seen, actions).items():
            terms[name], weights[name] = term, getattr(self.settings.weights, name)
        # What is not in the loss gets no gradient, not one of zeros, which an optimiser would count as seen.
        loss = torch.stack([weight * terms[name] for name, weight in weights.items()]).sum()
        return loss, terms, seen.observed.detach()

    def after_step(self, *, step: int, steps: int) -> None:
        """The optimiser has taken step `step`, from 1 to `steps`: a teacher may follow."""
        self.criterion.after_step(self.model, step=step, steps=steps)

    def see(
        self,
        pixels: Tensor,
        actions: Tensor,
        scene_at: Tensor,
        *,
        progress: float = 0.0,
        joined: bool = True,
    ) -> Seen:
        """Encode windows, and imagine each state from one before it: to learn from that, if `joined`."""
        model, curriculum = self.model, self.settings.ahead
        ahead = None
        if curriculum is not None:
            ahead = curriculum[min(int(progress * len(curriculum)), len(curriculum) - 1)]
        encoder, rows = model.encoder, torch.arange(len(pixels), device=pixels.device)
        with model.precision():
            features = encoder.features(pixels.flatten(0, 1))
            moving = encoder.moving(features).unflatten(0, pixels.shape[:2])
            scene = encoder.scene_of(features.unflatten(0, pixels.shape[:2])[rows, scene_at])
            start, around = moving, scene
            if self.criterion.detached:
                start, around = start.detach(), None if scene is None else scene.detach()
            predict = partial(model.predictor, scene=around)
            with torch.set_grad_enabled(joined and torch.is_grad_enabled()):
                imagined = unroll_each(predict, start, actions, ahead=ahead)
        return Seen(
            pixels=pixels,
            observed=moving,
            imagined=imagined,
            scene=scene,
            scene_at=scene_at,
            pose_size=model.config.pose_size,
            around_window_mean=self.settings.around_window_mean,
        )

    def beside(self, seen: Seen, actions: Tensor) -> dict[str, Tensor]:
        """What is asked beside the method, where it weighs anything."""
        weights, terms = self.settings.weights, {}
        pose = seen.observed[..., : seen.pose_size]
        if weights.inverse:
            terms["inverse"] = inverse_dynamics(self.model, seen.observed, actions)
        if self.endpoint is not None:
            terms["endpoint"] = self._endpoint(seen.observed, actions)
        if weights.temporal:
            terms["temporal"] = ssl.temporal_similarity_loss(pose)
        if weights.curvature:
            terms["curvature"] = ssl.curvature_loss(pose)
        return terms

    def _endpoint(self, moving: Tensor, actions: Tensor) -> Tensor:
        model, network = self.model, self.endpoint
        assert network is not None
        scaled = actions.unflatten(-1, (model.config.action_space.block, -1)) * model.predictor.action_scale

        def read(first: Tensor, last: Tensor) -> Tensor:
            with model.precision():
                return network(torch.cat([first, last], dim=-1)).float()

        return ssl.endpoint_inverse_loss(read, moving, scaled.flatten(1, 2))


def inverse_dynamics(model: Model, moving: Tensor, actions: Tensor) -> Tensor:
    """How badly the scaled actions `[B, T, block * A]` are told from what moves, `[B, T+1, D]`; a scalar.

    `ValueError` where the model was not made to tell them.
    """
    if model.inverse is None:
        raise ValueError("the model tells no actions; make it with recovered='each' or 'mean'.")
    with model.precision():
        recovered = model.inverse(moving[:, :-1], moving[:, 1:]).float()
    space = model.config.action_space
    each = actions.unflatten(-1, (space.block, -1)) * model.predictor.action_scale
    taken = each.mean(-2, keepdim=True) if model.config.recovered == "mean" else each
    recover = ssl.inverse_choice_loss if space.one_hot else ssl.inverse_dynamics_loss
    return recover(recovered.unflatten(-1, taken.shape[-2:]), taken)
