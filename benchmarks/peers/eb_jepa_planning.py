"""EB-JEPA's planners in two rooms (arXiv 2602.03604), measured, and telos' on the same model and energy.

    python -m benchmarks.peers.eb_jepa_planning train PATH MODEL [--steps N] [--batch N]
    python -m benchmarks.peers.eb_jepa_planning plan PATH MODEL FOLDER [--states N] [--share X ...]

PATH is a checkout of https://github.com/facebookresearch/eb_jepa, whose environment this runs in. `train` is
its own training by its own configuration, cut short, and its learning rate's schedule with it. `plan` makes
the peer's own agent plan by `planning_mppi.yaml` and `planning_cem.yaml` from first frames of its own
environment, and then telos' planners from the same frames: imagination is the peer's predictor and the
energy is the peer's, summed over the steps. The frame is encoded once, where the peer's agent encodes a copy
of it for every candidate in every iteration. telos keeps to the longest step of the environment's actions,
as the peer's CEM does and its MPPI does not (nor does the environment shorten its steps): `--bound` compares
with that. A row is one step of the predictor for one candidate.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmarks.meter import Enough, Memory, cpu_seconds, machine
from benchmarks.peers.eb_jepa import ALONE, Bar
from benchmarks.peers.planners import Contest, entries, run
from telos.cost import Goal
from telos.types import ActionSpace, Trajectory


def train(path: Path, model: Path, *, batch: int, steps: int) -> None:
    """Train by the recipe for `steps` steps after the first and keep the weights."""
    import examples.ac_video_jepa.main as recipe  # pyright: ignore[reportMissingImports]

    made: list[Any] = []
    original = recipe.JEPA

    def jepa(*parts: Any) -> Any:
        made.append(original(*parts))
        return made[0]

    def bar(batches: Any, *, total: int, desc: str, disable: bool) -> Bar:
        return Bar(batches, steps=steps)

    recipe.JEPA, recipe.tqdm = jepa, bar
    settings = {
        "data.batch_size": batch,
        "data.size": batch * (steps + 1),
        "optim.epochs": 1,
        "training.use_amp": False,
        **ALONE,
    }
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
        recipe.run(str(path / "examples/ac_video_jepa/cfgs/train.yaml"), folder=folder, **settings)
    torch.save(made[0].state_dict(), model)


def build(model: Path) -> Any:
    """The peer's model, as its training script builds it by `train.yaml`, with the weights in `model`."""
    from eb_jepa.architectures import ImpalaEncoder, RNNPredictor  # pyright: ignore[reportMissingImports]
    from eb_jepa.jepa import JEPA  # pyright: ignore[reportMissingImports]

    encoder = ImpalaEncoder(
        width=1,
        stack_sizes=(16, 32, 32),
        num_blocks=2,
        dropout_rate=None,
        layer_norm=False,
        input_channels=2,
        final_ln=True,
        mlp_output_dim=512,
        input_shape=(2, 65, 65),
    )
    encoder(torch.rand(1, 2, 1, 65, 65))  # as there: its last layer is made when its size is known
    predictor = RNNPredictor(hidden_size=encoder.mlp_output_dim, final_ln=encoder.final_ln)
    jepa = JEPA(encoder, torch.nn.Identity(), predictor, None, None)
    weights = torch.load(model, weights_only=True)
    jepa.load_state_dict(
        {name: value for name, value in weights.items() if not name.startswith("regularizer")}
    )
    return jepa.eval().requires_grad_(False)


def agent_of(path: Path, jepa: Any, *, planner: str, seed: int) -> tuple[Any, Tensor]:
    """The peer's agent with a goal of the peer's environment, and the first frame `[1, C, 1, H, W]`."""
    from eb_jepa.datasets.two_rooms.env import DotWall  # pyright: ignore[reportMissingImports]
    from eb_jepa.datasets.utils import init_data  # pyright: ignore[reportMissingImports]
    from eb_jepa.planning import GCAgent  # pyright: ignore[reportMissingImports]
    from omegaconf import OmegaConf  # pyright: ignore[reportMissingImports]

    settings = OmegaConf.load(path / f"examples/ac_video_jepa/cfgs/planning_{planner}.yaml")
    evaluation = OmegaConf.load(path / "examples/ac_video_jepa/cfgs/eval.yaml")
    _, _, data = init_data(env_name="two_rooms", cfg_data=dict(evaluation.data))
    world = DotWall(config=data, rng=np.random.default_rng(seed), **evaluation.env)
    world.reset()
    frame, _, _, _, info = world.step(np.zeros(2))
    agent = GCAgent(jepa, action_dim=2, plan_cfg=settings, normalizer=world.normalizer, env=world)
    agent.set_goal(info["target_obs"].float(), info["target_position"])
    return agent, world.normalizer.normalize_state(frame.float())[None, :, None]


def peer_plan(agent: Any, frame: Tensor, *, seed: int) -> dict[str, Any]:
    """One plan of the peer's agent, as its `act` asks for it."""
    torch.manual_seed(seed)  # its planners draw from the global generators
    np.random.seed(seed)
    planner = agent.planner
    memory, start = Memory(), cpu_seconds()
    result = planner.plan(frame, steps_left=200, eval_mode=True, t0=True)
    used = cpu_seconds() - start
    bound = planner.max_norms[0]
    shortened = result.actions * (bound / result.actions.norm(dim=-1, keepdim=True).clamp_min(bound))
    with torch.no_grad():
        energy, within = planner.cost_function(torch.stack([result.actions.T, shortened.T]), frame).tolist()
    return {
        "planner": f"EB-JEPA {type(planner).__name__}",
        "share": 1.0,
        "cpu_seconds": round(used, 3),
        "rows": planner.num_samples * planner.n_iters * planner.plan_length,
        "energy": [round(energy, 4)],
        "energy_with_steps_shortened": round(within, 4),
        "energy_of_best_candidate": round(result.losses.min().item(), 4),
        "largest_step": round(result.actions.norm(dim=-1).max().item(), 2),
        "peak_rise_mib": memory.result()["peak_rise_mib"],
    }


def contest(agent: Any, frame: Tensor, *, block: int, bound: float) -> Contest:
    """The same problem for telos. With `block` it decides once for that many steps.

    The steps of a block stand side by side in its state, so that each counts in the energy. No step is
    longer than `bound`.
    """
    planner, predictor = agent.planner, agent.model.predictor
    space = ActionSpace((-bound,) * 2, (bound,) * 2, max_norm=bound, block=block)
    with torch.no_grad():
        present, goal = agent.model.encode(frame).flatten(1), agent.goal_state_enc.flatten(1)

    def rollout(state: Tensor, actions: Tensor) -> Trajectory:
        B, S = actions.shape[:2]
        steps = space.expand(actions).flatten(0, 1)
        now = state.repeat_interleave(S, 0)[..., None, None, None]
        states = [now] * block
        for step in steps.unbind(1):
            states.append(predictor(states[-1], step[..., None]))
        path = torch.stack(states, 1).flatten(2).unflatten(1, (-1, block)).flatten(2)
        return Trajectory(path.unflatten(0, (B, S))[:, :, None], actions)

    return Contest(
        state=present,
        rollout=rollout,
        cost=Goal(goal.repeat(1, block), "sum"),
        energy=lambda plans: planner.cost_function(space.expand(plans).transpose(1, 2), frame),
        space=space,
        horizon=planner.plan_length // block,
        steps=block,
    )


def compare(
    path: Path,
    jepa: Any,
    *,
    states: int,
    planners: list[str],
    shares: list[float],
    blocks: list[int],
    bound: float,
) -> list[dict[str, Any]]:
    """The peer's plans and telos', problem by problem."""
    found = []
    for state in range(states):
        for planner in planners:
            agent, frame = agent_of(path, jepa, planner=planner, seed=state)
            found.append({"state": state, **peer_plan(agent, frame, seed=state)})
            print(json.dumps(found[-1]), file=sys.stderr)
        agent, frame = agent_of(path, jepa, planner="cem", seed=state)
        for block in blocks:
            given = contest(agent, frame, block=block, bound=bound)
            for share in shares:
                for entry in entries(candidates=200, iterations=20, share=share):
                    result = run(given, entry, seed=state)
                    found.append({"state": state, "block": block, "bound": bound, "share": share, **result})
                    print(json.dumps(found[-1]), file=sys.stderr)
    return found


def main() -> None:
    """Print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=("train", "plan"))
    parser.add_argument("path", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--states", type=int, default=2)
    parser.add_argument("--planner", nargs="*", choices=("mppi", "cem"), default=["mppi", "cem"])
    parser.add_argument("--share", type=float, nargs="*", default=[1.0, 0.1])
    parser.add_argument("--block", type=int, nargs="*", default=[1, 5])
    parser.add_argument("--bound", type=float, default=2.45, help="telos' longest step")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    path, model = given.path.resolve(), given.model.resolve()
    folder = None if given.folder is None else given.folder.resolve()
    sys.path.insert(0, str(path))
    os.chdir(path)
    if given.mode == "train":
        train(path, model, batch=given.batch, steps=given.steps)
        return
    plans = compare(
        path,
        build(model),
        states=given.states,
        planners=given.planner,
        shares=given.share,
        blocks=given.block,
        bound=given.bound,
    )
    result = {"plans": plans, "threads": given.threads, "machine": machine()}
    assert folder is not None
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "figures.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
