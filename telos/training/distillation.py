"""The reactive policy, distilled from plans."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from telos.actor import ReactivePolicy, Reflex, worst_case
from telos.cost import Goal
from telos.data import EpisodeStore
from telos.model import Model
from telos.progress import Progress, silent
from telos.training.batches import BlockWindows
from telos.training.config import Distillation
from telos.types import Budget, Configuration, Level, Observation, Problem


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
    wrong one. Where the model has a reflex already it is taught anew, plans begin where the old one leads,
    so that its mistakes are mended (as in DAgger, arXiv 1011.0686), and they may use it (`Guided`).
    The rest of the model does not change.
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
    """`settings.plans` plans in random training episodes. The scene is of another frame than the start."""
    device, space = next(model.parameters()).device, model.config.action_space
    windows = BlockWindows(
        store, horizon=4, block=space.block, frames=model.config.frames, episodes=store.split()[0]
    )
    level = Level(model.rollout, space, resume=model.resume)
    randomness = torch.Generator(device).manual_seed(generator.initial_seed())
    states, actions, scenes = [], [], []
    done = 0
    while done < settings.plans:
        pixels, _ = windows.sample(min(settings.together, settings.plans - done), generator)
        with torch.no_grad():
            first, last = (
                model.encode(Observation(each.unflatten(1, (model.config.frames, -1)).to(device)))
                for each in (pixels[:, 0], pixels[:, -1])
            )
            moving, scene = model.moving(first), model.scene(last)
            state = moving if scene is None else torch.cat([moving, scene.flatten(1)], 1)
            goal = model.moving(last).roll(1, 0)
            problem = Problem(
                state=state,
                levels=(level,),
                cost=Goal(goal),
                aggregate=worst_case,
                horizon=plan.horizon,
                generator=randomness,
                budget=plan.budget,
                policy=model.policy(state, goal),
            )
        if problem.policy is not None:
            found = Reflex()(replace(problem, budget=Budget(1))).trajectory.states[:, 0, 0]
            late = torch.randint(found.shape[1], (len(found),), generator=generator).to(device)
            moving = found[torch.arange(len(found), device=device), late]
            state = torch.cat([moving, state[:, moving.shape[1] :]], 1)
            problem = replace(problem, state=state)
        found = plan.planner(problem)
        states.append(found.trajectory.states[:, 0])
        actions.append(found.actions)
        if scene is not None:
            scenes.append(scene)
        done += len(state)
        progress("plans", done, settings.plans)
    return _Lessons(torch.cat(states), torch.cat(actions), torch.cat(scenes) if scenes else None)
