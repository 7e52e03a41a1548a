"""torch_world 0.2.0's LeWM and CEM, measured in its own environment, and telos' planners on the same model.

    python -m benchmarks.peers.torch_world train MODEL [--steps N]
    python -m benchmarks.peers.torch_world plan MODEL FOLDER [--states N] [--share X ...]

The environment: `pip install torch numpy` and `pip install --no-deps torch_world==0.2.0`, which needs
nothing else. The model is its LeWM with every default (three frames of history, six layers of 192, 16 heads
of 64) on its CLSEncoder of its PointMass, trained a little on that world's own trajectories, so that its
energy means something. Its CEM plans 5 steps with 512 candidates, a tenth of them elites, and 10 iterations,
within the world's bounds, to the last step's distance to a goal. telos' planners get the same latent, the
peer's own `rollout` and the peer's own `cost`. The peer returns a mean that it never scored: it is scored
here, outside the timing. A row is one step of the predictor for one candidate.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.meter import Memory, cpu_seconds, machine
from benchmarks.peers.planners import Contest, entries, run
from telos.cost import Goal
from telos.types import ActionSpace, Trajectory

HORIZON, SAMPLES, ITERATIONS = 5, 512, 10
STEP = 2  # numbers in an action


def build(*, width: int = 192) -> Any:
    """The peer's LeWM, `width` numbers per embedding, with the weights it is initialised with."""
    from torch_world.models import LeWM  # pyright: ignore[reportMissingImports]
    from torch_world.nn import CLSEncoder  # pyright: ignore[reportMissingImports]

    encoder = CLSEncoder(img_size=32, patch_size=8, embed_dim=width)
    return LeWM(encoder, action_dim=STEP, embed_dim=width)


def episodes(count: int, *, steps: int) -> dict[str, Tensor]:
    """Trajectories of the peer's PointMass."""
    from torch_world.envs import PointMass  # pyright: ignore[reportMissingImports]

    return PointMass(batch_size=count).collect(steps)


def train(path: Path, *, steps: int) -> None:
    """Train the peer's model by its own loss and keep its weights."""
    torch.manual_seed(0)
    model = build().train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-4, weight_decay=1e-3)
    for _ in range(steps):
        batch = episodes(64, steps=4)
        loss = model(batch["pixels"], batch["actions"])["loss"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.save(model.state_dict(), path)


def contest(model: Any, present: Tensor, goal: Tensor) -> Contest:
    """One of the peer's problems for telos: latents `[1, 1, D]` and `[1, D]`."""

    def rollout(state: Tensor, actions: Tensor) -> Trajectory:
        B, S = actions.shape[:2]
        begin = state.repeat_interleave(S, 0)[:, None]
        states = model.rollout(begin, actions.flatten(0, 1)).unflatten(0, (B, S))
        return Trajectory(states[:, :, None], actions)

    return Contest(
        state=present[:, 0],
        rollout=rollout,
        cost=Goal(goal, "last"),
        energy=lambda plans: model.cost(model.rollout(present, plans), goal),
        space=ActionSpace((-1.0,) * STEP, (1.0,) * STEP),
        horizon=HORIZON,
    )


def peer_plan(model: Any, present: Tensor, goal: Tensor, *, seed: int) -> dict[str, Any]:
    """The peer's CEM on one problem."""
    from torch_world.planning import CEM  # pyright: ignore[reportMissingImports]

    planner = CEM(
        HORIZON,
        STEP,
        num_samples=SAMPLES,
        num_elites=SAMPLES // 10,
        iterations=ITERATIONS,
        bounds=(-1, 1),
    )
    generator = torch.Generator().manual_seed(seed)
    memory, start = Memory(), cpu_seconds()
    plan = planner(model, present, goal, generator=generator)
    used = cpu_seconds() - start
    energy = contest(model, present, goal).energy(plan)
    return {
        "planner": "torch_world CEM",
        "share": 1.0,
        "cpu_seconds": round(used, 3),
        "rows": SAMPLES * ITERATIONS * HORIZON,
        "energy": [round(value, 4) for value in energy.tolist()],
        "peak_rise_mib": memory.result()["peak_rise_mib"],
    }


def compare(model: Any, *, states: int, shares: list[float]) -> list[dict[str, Any]]:
    """The peer's plans and telos', problem by problem."""
    torch.manual_seed(1)  # the world's episodes come from the global generator
    batch = episodes(states, steps=6)
    found = []
    with torch.no_grad():
        latents = model.encode(batch["pixels"])
    for state in range(states):
        one = slice(state, state + 1)
        present, goal = latents[one, :1], latents[one, -1]
        with torch.no_grad():
            found.append({"state": state, **peer_plan(model, present, goal, seed=state)})
            print(json.dumps(found[-1]), file=sys.stderr)
        for share in shares:
            for entry in entries(candidates=SAMPLES, iterations=ITERATIONS, share=share):
                result = run(contest(model, present, goal), entry, seed=state)
                found.append({"state": state, "share": share, **result})
                print(json.dumps(found[-1]), file=sys.stderr)
    return found


def main() -> None:
    """Print the figures as the last line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=("train", "plan"))
    parser.add_argument("model", type=Path)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--states", type=int, default=3)
    parser.add_argument("--share", type=float, nargs="*", default=[1.0, 0.1])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    if given.mode == "train":
        train(given.model, steps=given.steps)
        return
    model = build()
    model.load_state_dict(torch.load(given.model, weights_only=True))
    model.eval().requires_grad_(False)
    result = {
        "plans": compare(model, states=given.states, shares=given.share),
        "threads": given.threads,
        "packages": {name: version(name) for name in ("torch_world", "torch")},
        "machine": machine(),
    }
    given.folder.mkdir(parents=True, exist_ok=True)
    (given.folder / "figures.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
