"""The reactive policy, distilled from plans."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from telos.actor import ReactivePolicy, worst_case
from telos.cost import Goal
from telos.data import EpisodeStore
from telos.model import Model
from telos.progress import Progress, silent
from telos.training.batches import BlockWindows
from telos.training.config import Distillation
from telos.types import Configuration, Level, Observation, Problem

REFLEX_BLOCKS = 4  # from where a plan begins to where it is to end, in training episodes


def fit_reflex(
    model: Model,
    store: EpisodeStore,
    plan: Configuration,
    settings: Distillation | None = None,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> None:
    """Teach the model a reactive policy: what a planner does in training episodes, without its search.

    `plan` says how plans are made: as the agent would (a recipe's `configurator.explore`, say), from where
    training episodes were, to where others were. Of each plan every state is a goal that the states before
    it lead to, reached or not (hindsight): so each teaches many ways, and a goal that cannot be reached no
    wrong one. The rest of the model does not change; a reflex that it has is replaced.
    """
    settings = settings or Distillation()
    generator = torch.Generator().manual_seed(seed)
    lessons = _lessons(model, store, plan, settings, generator, progress)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        policy = model.add_reflex()
    optimisation = settings.optimisation
    optimiser = torch.optim.AdamW(
        policy.parameters(), lr=optimisation.learning_rate, weight_decay=optimisation.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, optimisation.steps)
    for number in range(optimisation.steps):
        with model.precision():
            loss = lessons.loss(policy, optimisation.batch, settings, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(policy.parameters(), optimisation.clip)
        optimiser.step()
        schedule.step()
        progress("reflex", number + 1, optimisation.steps, loss=float(loss.detach()))


@dataclass(frozen=True)
class _Lessons:
    """Plans: what moved, was done, and where."""

    states: Tensor  # [N, K, T+1, D], as imagined
    actions: Tensor  # [N, T, size]
    scenes: Tensor | None  # [N, C, h, w]

    def loss(
        self, policy: ReactivePolicy, batch: int, settings: Distillation, generator: torch.Generator
    ) -> Tensor:
        """The mean squared error, in half ranges, of what `batch` plans did on the way to one goal each.

        Goals near a plan's beginning are rare, as few states lead to them. Squared errors reach twice as
        many goals as absolute ones.
        """
        N, K, T = len(self.states), self.states.shape[1], self.actions.shape[1]
        plan, future = (torch.randint(count, (batch, 1), generator=generator) for count in (N, K))
        end = 1 + (T * torch.rand(batch, 1, generator=generator).sqrt()).long().clamp_max(T - 1)
        begin = (end * torch.rand(batch, settings.starts, generator=generator)).long()
        noise = settings.noise * torch.rand(batch, 1, 1, generator=generator)
        now, goal = self.states[plan, future, begin], self.states[plan, future, end][:, 0]
        now = now + noise.to(now) * torch.randn(now.shape, generator=generator).to(now)
        scene = None if self.scenes is None else self.scenes[plan[:, 0]]
        error = policy(now, goal, policy.view(scene, goal)) - self.actions[plan, begin]
        return (error / policy.reach.clamp_min(1e-6)).square().mean()


def _lessons(
    model: Model,
    store: EpisodeStore,
    plan: Configuration,
    settings: Distillation,
    generator: torch.Generator,
    progress: Progress,
) -> _Lessons:
    """`settings.plans` plans in random training episodes."""
    windows = BlockWindows(
        store,
        horizon=REFLEX_BLOCKS,
        block=model.config.action_space.block,
        frames=model.config.frames,
        spacing=model.config.spacing,
        episodes=store.split()[0],
    )
    randomness = torch.Generator(next(model.parameters()).device).manual_seed(generator.initial_seed())
    states, actions, scenes = [], [], []
    for done in range(0, settings.plans, settings.together):
        pixels, _ = windows.sample(min(settings.together, settings.plans - done), generator)
        problem = _problem(model, pixels, plan, randomness)
        found = plan.planner(problem)
        states.append(found.trajectory.states[:, 0])
        actions.append(found.actions)
        scenes.append(model.scene(problem.state))
        progress("plans", done + len(pixels), settings.plans)
    known = [scene for scene in scenes if scene is not None]
    return _Lessons(torch.cat(states), torch.cat(actions), torch.cat(known) if known else None)


@torch.no_grad()
def _problem(model: Model, pixels: Tensor, plan: Configuration, generator: torch.Generator) -> Problem:
    """From where windows of pixels `[B, T+1, frames * C, H, W]` begin to where others end.

    The scene is that of the last frame, so that what moves is not where the scene may show it.
    """
    first, last = (
        model.encode(Observation(each.unflatten(1, (model.config.frames, -1)).to(generator.device)))
        for each in (pixels[:, 0], pixels[:, -1])
    )
    moving = model.moving(first)
    return Problem(
        state=torch.cat([moving, last[:, moving.shape[1] :]], 1),
        levels=(Level(model.rollout, model.config.action_space, resume=model.resume),),
        cost=Goal(model.moving(last).roll(1, 0)),
        aggregate=worst_case,
        horizon=plan.horizon,
        generator=generator,
        budget=plan.budget,
    )
