"""LeWM and its CEM (arXiv 2603.19312) as stable-worldmodel 0.1.1 has them, measured in its own environment.

    python -m benchmarks.peers.stable_worldmodel init WEIGHTS
    python -m benchmarks.peers.stable_worldmodel reference WEIGHTS OUT.npz
    python -m benchmarks.peers.stable_worldmodel plan WEIGHTS OBSERVATIONS.npz FOLDER [--record]
    python -m benchmarks.peers.stable_worldmodel score WEIGHTS OBSERVATIONS.npz FOLDER --candidates FILE.npz

WEIGHTS is the state dict of the peer's LeWM as safetensors; its action encoder says how long an action block
is. OBSERVATIONS has `start` and `goal`, uint8 `[B, H, W, 3]` of the image size that LeWM was built for, and
FILE `candidates` `[B, S, T, size]`. `plan` writes FOLDER/plans.npz and FOLDER/figures.json, and with
`--record` also every candidate and its cost.

The environment: `pip install torch einops numpy gymnasium loguru transformers safetensors` and `pip install
--no-deps stable-worldmodel==0.1.1`. Its packages are imported without their `__init__`, which would import
environments, data formats and torchvision; the files that are then imported are the model's and the solver's
own, unchanged. LeWM is built with the values of the repository's `scripts/train/config/lewm.yaml` and
planned with those of `scripts/plan/config` at tag 0.1.1. What its training script takes from
`stable_pretraining.backbone.utils.vit_hf` is a transformers ViTModel, which is built here directly. Its
solver reads two numbers of its configuration, `horizon` and `action_block`. Images are normalised before a
plan is timed, as the peer's policy does before it calls the solver.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.meter import Memory, cpu_seconds, machine

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, which the peer normalises by
HISTORY = 3  # frames: `wm.history_size`


@dataclass(frozen=True)
class Settings:
    """The peer's own for PushT, Reacher, Cube and TwoRoom."""

    samples: int = 300
    iterations: int = 30
    top: int = 30
    horizon: int = 5
    block: int = 5
    seed: int = 42


def peer(name: str) -> Any:
    """A module of the peer, without what its packages' `__init__` would import."""
    root = Path(str(distribution("stable-worldmodel").locate_file("stable_worldmodel")))
    for package in ("stable_worldmodel", "stable_worldmodel.wm"):
        if package not in sys.modules:
            module = types.ModuleType(package)
            module.__path__ = [str(root.joinpath(*package.split(".")[1:]))]
            sys.modules[package] = module
    return importlib.import_module(name)


def build(*, size: int, image: int = 224, patch: int = 14) -> Any:
    """The peer's LeWM for action blocks of `size` numbers, with the weights it is initialised with.

    `image` and `patch` are the sides, in pixels, of its frames and patches.
    """
    import transformers  # pyright: ignore[reportMissingImports]

    module = peer("stable_worldmodel.wm.lewm.module")
    config = transformers.ViTConfig(
        hidden_size=192,
        num_hidden_layers=12,
        num_attention_heads=3,
        intermediate_size=768,
        image_size=image,
        patch_size=patch,
    )
    mlp = partial(module.MLP, input_dim=192, output_dim=192, hidden_dim=2048, norm_fn=nn.BatchNorm1d)
    return peer("stable_worldmodel.wm.lewm").LeWM(
        encoder=transformers.ViTModel(config, add_pooling_layer=False, use_mask_token=False),
        predictor=module.Predictor(
            num_frames=HISTORY,
            input_dim=192,
            hidden_dim=192,
            output_dim=192,
            depth=6,
            heads=16,
            mlp_dim=2048,
            dim_head=64,
            dropout=0.1,
            emb_dropout=0.0,
        ),
        action_encoder=module.Embedder(input_dim=size, emb_dim=192),
        projector=mlp(),
        pred_proj=mlp(),
    )


def load(path: Path) -> Any:
    """The peer's LeWM with the weights in `path`, ready to plan with."""
    from safetensors.torch import load_file  # pyright: ignore[reportMissingImports]

    state = load_file(path)
    model = build(size=state["action_encoder.patch_embed.weight"].shape[1])
    model.load_state_dict(state)
    return model.eval().requires_grad_(False)


def randomised(*, size: int, seed: int) -> dict[str, Tensor]:
    """Weights in which nothing is left at zero or one, so that a converter that forgets some is found out."""
    torch.manual_seed(seed)  # the peer initialises from the global generator
    state = build(size=size).state_dict()
    generator = torch.Generator().manual_seed(seed)
    for name, value in state.items():
        noise = torch.randn(value.shape, generator=generator) if value.is_floating_point() else value
        if name.endswith("running_var"):
            state[name] = 0.5 + noise.abs()
        elif name.endswith("running_mean") or value.ndim == 1:
            state[name] = value + 0.1 * noise
        elif "adaLN" in name:
            state[name] = 0.1 * noise
        elif name.startswith("encoder"):
            state[name] = 3 * value  # otherwise every image looks alike
    return {name: value.contiguous() for name, value in state.items()}


def images(frames: np.ndarray) -> Tensor:
    """uint8 `[B, H, W, 3]` to what the peer's policy hands to its solver, `[B, 1, 3, H, W]`."""
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return ((pixels - mean) / std)[:, None]


def information(data: Any, *, index: int, action: int) -> dict[str, Tensor]:
    """What the solver is called with, for one problem. It reads the last action nowhere, but deletes it."""
    one = slice(index, index + 1)
    return {
        "pixels": images(data["start"][one]),
        "goal": images(data["goal"][one]),
        "action": torch.zeros(1, 1, action),
    }


@torch.inference_mode()
def scores(model: Any, info: dict[str, Tensor], candidates: Tensor, *, rows: int = 300) -> Tensor:
    """The peer's cost `[S]` of candidates `[S, T, size]` for one problem."""
    found = []
    for some in candidates.split(rows):
        expanded = {
            name: value[:, None].expand(1, len(some), *value.shape[1:]) for name, value in info.items()
        }
        found.append(model.get_cost(expanded, some[None])[0])
    return torch.cat(found)


def solver_of(model: Any, settings: Settings, *, size: int) -> Any:
    """The peer's CEM with its own settings."""
    import gymnasium  # pyright: ignore[reportMissingImports]

    solver = peer("stable_worldmodel.solver").CEMSolver(
        model=model,
        batch_size=1,
        num_samples=settings.samples,
        var_scale=1.0,
        n_steps=settings.iterations,
        topk=settings.top,
        device="cpu",
        seed=settings.seed,
    )
    space = gymnasium.spaces.Box(-1.0, 1.0, (1, size // settings.block))
    config = types.SimpleNamespace(horizon=settings.horizon, action_block=settings.block)
    solver.configure(action_space=space, n_envs=1, config=config)
    return solver


@contextlib.contextmanager
def recording(model: Any) -> Iterator[list[tuple[Tensor, Tensor]]]:
    """Candidates `[S, T, size]` and costs `[S]` of every call of the model's `get_cost` in the block."""
    seen: list[tuple[Tensor, Tensor]] = []
    original: Callable[..., Tensor] = model.get_cost

    def get_cost(info: dict[str, Tensor], candidates: Tensor) -> Tensor:
        costs = original(info, candidates)
        seen.append((candidates[0].clone(), costs[0].clone()))
        return costs

    model.get_cost = get_cost
    try:
        yield seen
    finally:
        del model.get_cost


def plan_all(model: Any, data: Any, settings: Settings, *, size: int, record: bool) -> tuple[Any, Any]:
    """Arrays to save and figures: one plan after the other, each timed, and scored afterwards."""
    arrays: dict[str, list[np.ndarray]] = {}
    figures: dict[str, list[float]] = {}
    for index in range(len(data["start"])):
        info = information(data, index=index, action=size // settings.block)
        solver, memory = solver_of(model, settings, size=size), Memory()
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))  # the solver prints
            seen = stack.enter_context(recording(model)) if record else []
            start = cpu_seconds()
            plan = solver.solve(dict(info))["actions"][0]
            used = cpu_seconds() - start
        found: dict[str, float] = {"cpu_seconds": used, **memory.result()}
        found["energy_of_plan"] = scores(model, info, plan[None]).item()
        kept = {"plans": plan}
        if record:
            candidates, costs = (torch.stack(part) for part in zip(*seen, strict=True))
            best = int(costs.argmin())
            kept |= {"candidates": candidates, "costs": costs, "best": candidates.flatten(0, 1)[best]}
            found["energy_of_best_candidate"] = costs.min().item()
        for name, value in found.items():
            figures.setdefault(name, []).append(value)
        for name, tensor in kept.items():
            arrays.setdefault(name, []).append(tensor.numpy())
    return {name: np.stack(value) for name, value in arrays.items()}, figures


def flops(model: Any, data: Any, settings: Settings, *, size: int) -> dict[str, int]:
    """Counted once, and again with one iteration more: the difference is an iteration's."""
    counted = []
    for iterations in (1, 2):
        few = Settings(**{**asdict(settings), "iterations": iterations})
        solver = solver_of(model, few, size=size)
        info = information(data, index=0, action=size // settings.block)
        with FlopCounterMode(display=False) as counter, contextlib.redirect_stdout(io.StringIO()):
            solver.solve(info)
        counted.append(counter.get_total_flops())
    each = counted[1] - counted[0]
    return {
        "flops_of_encoding": counted[0] - each,
        "flops_per_iteration": each,
        "flops_per_plan": counted[0] + each * (settings.iterations - 1),
    }


@torch.inference_mode()
def reference(model: Any, *, size: int, candidates: int, horizon: int) -> dict[str, np.ndarray]:
    """Inputs and outputs of every stage, in fp32."""
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (2, 2, 16, 16, 3), dtype=np.uint8)
    frames = coarse.repeat(14, axis=2).repeat(14, axis=3)
    start, goal = images(frames[0]), images(frames[1])
    actions = torch.from_numpy(generator.standard_normal((2, candidates, horizon, size), dtype=np.float32))
    hidden = model.encoder(start[:, 0], interpolate_pos_encoding=True).last_hidden_state
    embedded = model.encode({"pixels": start})["emb"]
    history = torch.from_numpy(generator.standard_normal((candidates, HISTORY, 192), dtype=np.float32))
    encoded = model.action_encoder(actions[0, :, :HISTORY])
    kept = {
        "start": torch.from_numpy(frames[0]),
        "goal": torch.from_numpy(frames[1]),
        "normalised": start[:, 0],
        "hidden": hidden,
        "cls": hidden[:, 0],
        "emb": embedded[:, 0],
        "goal_emb": model.encode({"pixels": goal})["emb"][:, 0],
        "actions": actions,
        "window_emb": history,
        "window_actions": actions[0, :, :HISTORY],
        "window_act_emb": encoded,
    }
    for length in range(1, HISTORY + 1):
        window, given = history[:, :length], encoded[:, :length]
        kept[f"predictor_{length}"] = model.predictor(window, given)
        kept[f"predict_{length}"] = model.predict(window, given)
    rollouts, costs = [], []
    for one in range(2):  # its `get_cost` takes one problem at a time: the goal lacks the axis of candidates
        info = {"pixels": start, "goal": goal, "action": torch.zeros(2, 1, size)}
        info = {
            name: value[one, None, None].expand(1, candidates, *value.shape[1:])
            for name, value in info.items()
        }
        costs.append(model.get_cost(info, actions[one, None])[0])
        rollouts.append(info["predicted_emb"][0])
    kept |= {"costs": torch.stack(costs), "rollout": torch.stack(rollouts)}
    return {name: value.numpy() for name, value in kept.items()}


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("mode", choices=("init", "reference", "plan", "score"))
    parser.add_argument("weights", type=Path)
    parser.add_argument("paths", type=Path, nargs="*")
    parser.add_argument("--candidates", type=Path)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--flops", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--size", type=int, default=10, help="of an action block, for `init`")
    for name, value in asdict(Settings()).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    return parser.parse_args()


def main() -> None:
    """Print the figures as the last line."""
    given = arguments()
    torch.set_num_threads(given.threads)
    settings = Settings(**{name: getattr(given, name) for name in asdict(Settings())})
    if given.mode == "init":
        from safetensors.torch import save_file  # pyright: ignore[reportMissingImports]

        save_file(randomised(size=given.size, seed=given.seed), given.weights)
        return
    model = load(given.weights)
    size = model.action_encoder.input_dim
    if given.mode == "reference":
        stages = reference(model, size=size, candidates=16, horizon=settings.horizon)
        np.savez(given.paths[0], allow_pickle=False, **stages)
        return
    data, folder = np.load(given.paths[0]), given.paths[1]
    folder.mkdir(parents=True, exist_ok=True)
    if given.mode == "score":
        rows = torch.from_numpy(np.load(given.candidates)["candidates"])
        infos = [information(data, index=index, action=size // settings.block) for index in range(len(rows))]
        costs = torch.stack([scores(model, info, some) for info, some in zip(infos, rows, strict=True)])
        np.savez(folder / "scores.npz", costs=costs.numpy())
        return
    arrays, figures = plan_all(model, data, settings, size=size, record=given.record)
    np.savez(folder / "plans.npz", **arrays)
    result = {
        **figures,
        **(flops(model, data, settings, size=size) if given.flops else {}),
        "rows_per_plan": settings.samples * settings.iterations,
        "settings": asdict(settings),
        "threads": given.threads,
        "recorded": given.record,
        "packages": {name: version(name) for name in ("stable-worldmodel", "transformers", "torch")},
        "machine": machine(),
    }
    (folder / "figures.json").write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
