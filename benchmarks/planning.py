"""Planning with LeWM's world model, beside stable-worldmodel: `python -m benchmarks.planning`.

    python -m benchmarks.planning --quick
    python -m benchmarks.planning --model RUN/model --data STORE --peer-python PYTHON [--folder FOLDER]

The same weights, start frames and goal frames go to both. The peer's CEM plans each state (300 candidates,
30 iterations); its candidates of two states are scored by telos, iteration by iteration (the same
candidates), and the planner of the recipe plans all states (the same energy), in a box of actions that the
peer's plans leave, and within the world's bounds. On one thread and on two. Memory is measured on frames of
224 px, the published size, with random weights.
Every part runs in a process of its own and its result is kept in FOLDER, so that a run that was stopped
goes on. Writes `results/planning_lewm.json` and prints it as the last line.

`--quick` measures telos alone, with random weights, on one thread, and prints one line of JSON.
`benchmarks/peers/stable_worldmodel.py` says how the peer's environment is made.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.meter import Memory, cpu_seconds, machine, matmul_rates
from telos import recipes
from telos.actor import mean
from telos.configuration import to_dict
from telos.cost import Goal
from telos.data import EpisodeStore
from telos.interchange import lewm_weights, load_lewm
from telos.model import Model, ModelConfig
from telos.perception import Patches
from telos.types import ActionSpace, Level, Observation, Problem
from telos.world_model import History

ROOT = Path(__file__).parent.parent
RESULT = ROOT / "results" / "planning_lewm.json"
SAMPLES, ITERATIONS, HORIZON, BLOCK, TOP = 300, 30, 5, 5, 30  # the peer's
RECIPE = "lewm-short"
FREE = 4.0
"""Half the width of the box, in pixels per step, in which the same energy is looked for.

The peer knows no bounds: a third of its steps are longer than the world's longest, 2.4 px, some 11 px."""


def prepare(folder: Path, model_folder: Path, data: Path, states: int) -> None:
    """Weights under the peer's names, and starts and goals: 25 steps apart in held-out episodes.

    The peer takes actions in deviations of its data set's, so the model's scale goes into its first layer.
    """
    if (folder / "setting.json").exists():
        return
    model, store = Model.load(model_folder), EpisodeStore(data)
    train, heldout = store.split()
    deviation = torch.from_numpy(np.concatenate([store[int(one)].actions for one in train[:500]])).std(0)
    weights = lewm_weights(model)
    weights["action_encoder.patch_embed.weight"] *= (deviation * model.predictor.action_scale).repeat(BLOCK)[
        :, None
    ]
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in weights.items()}, folder / "lewm.safetensors")
    random, frames = np.random.default_rng(0), []
    for episode in random.choice(heldout, states):
        seen = store[int(episode)].frames
        begin = int(random.integers(len(seen) - HORIZON * BLOCK))
        frames.append(torch.from_numpy(seen[[begin, begin + HORIZON * BLOCK]]).permute(0, 3, 1, 2))
    side = model.config.perception.resolution if isinstance(model.config.perception, Patches) else 224
    pixels = torch.nn.functional.interpolate(torch.cat(frames).float(), (side, side), mode="bilinear")
    pixels = pixels.round().to(torch.uint8).permute(0, 2, 3, 1).unflatten(0, (-1, 2)).numpy()
    np.savez(folder / "observations.npz", start=pixels[:, 0], goal=pixels[:, 1])
    setting = {"side": side, "deviation": deviation.tolist(), "space": to_dict(model.config.action_space)}
    (folder / "setting.json").write_text(json.dumps(setting))


def ours(folder: Path) -> tuple[Model, Tensor]:
    """telos' model with the weights that the peer has, and the deviation of the peer's actions."""
    setting = json.loads((folder / "setting.json").read_text())
    deviation, space = torch.tensor(setting["deviation"]), setting["space"]
    config = ModelConfig(
        world="telos/TwoRoomsFixed-v0",
        frame_shape=(setting["side"], setting["side"], 3),
        action_space=ActionSpace(
            tuple(space["low"]), tuple(space["high"]), space["max_norm"], block=BLOCK, held=False
        ),
        perception=Patches(resolution=setting["side"]),
        predictor=History(),
        recovered="none",
    )
    return load_lewm(folder / "lewm.safetensors", config, action_deviation=deviation), deviation


def problem_of(model: Model, start: np.ndarray, goal: np.ndarray) -> Problem:
    """To look like `goal` after five blocks, from `start`, both uint8 `[H, W, 3]`."""
    with torch.no_grad():
        states = model.encode(Observation.from_frames(np.stack([start, goal])))
    plan = recipes.get(RECIPE).configurator.explore
    return Problem(
        state=states[:1],
        levels=(Level(model.rollout, model.config.action_space, resume=model.resume),),
        cost=Goal(states[1:], "last"),
        aggregate=mean,
        horizon=HORIZON,
        generator=torch.Generator().manual_seed(0),
        budget=plan.budget,
    )


@torch.inference_mode()
def same_candidates(model: Model, data: Any, candidates: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """Energies `[N, I, S]` of the peer's candidates `[N, I, S, T, size]`, and what finding them cost."""
    found, seconds, rises = [], [], []
    for index, iterations in enumerate(candidates):
        memory, began = Memory(), cpu_seconds()
        problem = problem_of(model, data["start"][index], data["goal"][index])
        found.append(torch.stack([_energy(problem, some) for some in iterations]))
        seconds.append(cpu_seconds() - began)
        rises.append(memory.result())
    with FlopCounterMode(display=False) as counter:
        _energy(problem_of(model, data["start"][0], data["goal"][0]), candidates[0, 0])
    return torch.stack(found), {"cpu_seconds": seconds, "memory": rises, "flops": counter.get_total_flops()}


def _energy(problem: Problem, candidates: Tensor) -> Tensor:
    """The peer's energy `[S]`: a sum over the state where ours is a mean."""
    trajectory = problem.level.rollout(problem.state, candidates[None])
    return problem.cost(trajectory)[0, :, 0] * trajectory.states.shape[-1]


def same_energy(model: Model, data: Any, *, free: bool) -> dict[str, Any]:
    """What the recipe's planner reaches for every state, one at a time; `free`: in a box of `FREE`."""
    planner, found = recipes.get(RECIPE).configurator.explore.planner, []
    for start, goal in zip(data["start"], data["goal"], strict=True):
        memory, began = Memory(), cpu_seconds()
        problem = problem_of(model, start, goal)
        if free:
            space = replace(model.config.action_space, low=(-FREE,) * 2, high=(FREE,) * 2, max_norm=None)
            problem = replace(problem, levels=(replace(problem.level, action_space=space),))
        plan = planner(problem)
        used = cpu_seconds() - began
        with torch.inference_mode():
            energy = float(_energy(problem, plan.actions))
        found.append(
            {"cpu_seconds": used, "energy": energy, "evaluations": plan.evaluations, **memory.result()}
        )
    return {name: [each[name] for each in found] for name in found[0]}


@torch.inference_mode()
def as_executed(model: Model, data: Any, plans: Tensor) -> list[float]:
    """The energies of the peer's plans `[N, T, size]` where actions are shortened to the world's bound."""
    pairs = zip(data["start"], data["goal"], model.config.action_space.project(plans), strict=True)
    return [float(_energy(problem_of(model, start, goal), plan[None])) for start, goal, plan in pairs]


def measure_ours(folder: Path, part: str, threads: int) -> None:
    """One part of our side, in this process; its result in FOLDER."""
    torch.set_num_threads(threads)
    path = folder / f"ours-{part}-{threads}.json"
    if part == "full":
        path.write_text(json.dumps(full_size(folder)))
        return
    (model, deviation), data = ours(folder), np.load(folder / "observations.npz")
    if part == "energy":
        peer = np.load(folder / "peer-all" / "plans.npz")
        plans = torch.from_numpy(peer["plans"]) * deviation.repeat(BLOCK)
        data = {name: data[name][: len(plans) if threads == 1 else 10] for name in ("start", "goal")}
        result = {
            "free": same_energy(model, data, free=True),
            "within_bounds": same_energy(model, data, free=False),
            "peer_as_executed": as_executed(model, data, plans[: len(data["start"])]),
        }
    else:
        recorded = np.load(folder / "peer-recorded-1" / "plans.npz")
        candidates = torch.from_numpy(recorded["candidates"]) * deviation.repeat(BLOCK)
        energies, result = same_candidates(model, data, candidates)
        theirs = torch.from_numpy(recorded["costs"])
        result |= {
            "largest_relative_difference": float(((energies - theirs).abs() / theirs.abs()).max()),
            "largest_difference_over_median": float((energies - theirs).abs().max() / theirs.median()),
            "fewest_elites_shared": _shared(energies, theirs),
            "matmul": matmul_rates(size=2048, seconds=3.0),
        }
    path.write_text(json.dumps(result | {"machine": machine()}))


def full_size(folder: Path) -> dict[str, Any]:
    """The peer's candidates of one plan on frames of 224 px, LeWM's own, with random weights: the memory."""
    config = replace(ours(folder)[0].config, frame_shape=(224, 224, 3), perception=Patches())
    model = load_lewm(folder / "full.safetensors", config, action_deviation=torch.ones(2))
    recorded = np.load(folder / "peer-full" / "plans.npz")
    energies, result = same_candidates(
        model, np.load(folder / "full.npz"), torch.from_numpy(recorded["candidates"])
    )
    theirs = torch.from_numpy(recorded["costs"])
    return result | {"largest_relative_difference": float(((energies - theirs).abs() / theirs.abs()).max())}


def _shared(ours: Tensor, theirs: Tensor) -> int:
    """The fewest of the peer's 30 elites that are ours too, over all iterations of all states."""
    one, other = (each.flatten(0, 1).topk(TOP, largest=False).indices for each in (ours, theirs))
    return min(len(set(a.tolist()) & set(b.tolist())) for a, b in zip(one, other, strict=True))


def run(folder: Path, name: str, command: list[str], threads: int) -> dict[str, Any]:
    """A part's result, made by `command` in a process of its own unless it is there already."""
    path = folder / name
    if not path.exists():
        print(f"measuring {name} on {threads} threads", file=sys.stderr)
        # Threads that wait shall sleep; spinning ones, the default, treble the CPU time of the peer.
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "PASSIVE"}
        subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
    return json.loads(path.read_text())


def compare(folder: Path, peer_python: str, states: int) -> dict[str, Any]:
    """Everything, on one thread and on two."""
    here = [sys.executable, "-m", "benchmarks.planning", "--folder", str(folder), "--part"]
    peer = [peer_python, "-m", "benchmarks.peers.stable_worldmodel", "plan", str(folder / "lewm.safetensors")]
    everything = [*peer, str(folder / "observations.npz"), str(folder / "peer-all"), "--threads", "1"]
    peer_all = run(folder, "peer-all/figures.json", everything, 1)
    result: dict[str, Any] = {}
    two = folder / "two.npz"
    data = np.load(folder / "observations.npz")
    np.savez(two, start=data["start"][:2], goal=data["goal"][:2])
    for threads in (1, 2):
        few, record = f"peer-few-{threads}", f"peer-recorded-{threads}"
        flags = ["--threads", str(threads)]
        run(
            folder,
            f"{record}/figures.json",
            [*peer, str(two), str(folder / record), "--record", *flags],
            threads,
        )
        peer_few = run(folder, f"{few}/figures.json", [*peer, str(two), str(folder / few), *flags], threads)
        same = run(folder, f"ours-candidates-{threads}.json", [*here, "candidates", *flags], threads)
        ours_energy = run(folder, f"ours-energy-{threads}.json", [*here, "energy", *flags], threads)
        result[f"threads_{threads}"] = _figures(peer_few, same, ours_energy["free"])
    large = np.repeat(np.repeat(data["start"][:1], 4, 1), 4, 2)
    np.savez(folder / "full.npz", start=large, goal=np.repeat(np.repeat(data["goal"][:1], 4, 1), 4, 2))
    if not (folder / "full.safetensors").exists():
        making = [peer_python, "-m", "benchmarks.peers.stable_worldmodel", "init"]
        subprocess.run([*making, str(folder / "full.safetensors")], check=True, cwd=ROOT)
    whole = [*peer[:-1], str(folder / "full.safetensors"), str(folder / "full.npz")]
    peer_full = run(folder, "peer-full/figures.json", [*whole, str(folder / "peer-full"), "--record"], 1)
    full = run(folder, "ours-full-1.json", [*here, "full"], 1)
    told = json.loads((folder / "ours-energy-1.json").read_text())
    theirs, free, within = peer_all["energy_of_plan"], told["free"], told["within_bounds"]
    return {
        **result["threads_1"],
        "peak_megabytes": full["memory"][0]["peak_memory_mib"],
        "peer_peak_megabytes": peer_full["peak_memory_mib"][0],
        "peak_rise_megabytes": full["memory"][0]["peak_rise_mib"],
        "peer_peak_rise_megabytes": peer_full["peak_rise_mib"][0],
        "memory_is_of": "one plan with the same candidates, frames of 224 px, random weights",
        "peer_cpu_seconds_per_plan_of_all": statistics.mean(peer_all["cpu_seconds"]),
        "energy": statistics.median(free["energy"]),
        "peer_energy": statistics.median(theirs),
        "states": states,
        "states_no_worse": sum(a <= b for a, b in zip(free["energy"], theirs, strict=True)),
        "evaluations_per_plan": statistics.median(free["evaluations"]),
        "energy_within_bounds": statistics.median(within["energy"]),
        "cpu_seconds_per_plan_within_bounds": statistics.median(within["cpu_seconds"]),
        "peer_energy_as_executed": statistics.median(told["peer_as_executed"]),
        "free_box_px": FREE,
        "recipe": RECIPE,
        "planner": to_dict(recipes.get(RECIPE).configurator.explore),
        "peer_settings": peer_all["settings"],
        "packages": peer_all["packages"],
        **result,
        "machine": machine(),
        "command": "python -m benchmarks.planning --model RUN/model --data STORE --peer-python PYTHON",
    }


def _figures(peer: dict[str, Any], same: dict[str, Any], energy: dict[str, Any]) -> dict[str, Any]:
    flops = same["flops"] * ITERATIONS
    rate = max(same["matmul"].values())
    seconds, theirs = min(same["cpu_seconds"]), min(peer["cpu_seconds"])
    planned = statistics.median(energy["cpu_seconds"])
    return {
        "peer_cpu_seconds_per_plan": theirs,
        "cpu_seconds_per_plan": seconds,
        "ratio_same_candidates": theirs / seconds,
        "planner_cpu_seconds_per_plan": planned,
        "ratio_same_energy": theirs / planned,
        "floor_cpu_seconds": flops / rate,
        "ratio_to_floor": seconds / (flops / rate),
        "flops_per_plan": flops,
        "matmul_flops_per_cpu_second": same["matmul"],
        "peak_megabytes": max(each["peak_memory_mib"] for each in same["memory"]),
        "peer_peak_megabytes": max(peer["peak_memory_mib"]),
        "peak_rise_megabytes": same["memory"][-1]["peak_rise_mib"],
        "peer_peak_rise_megabytes": peer["peak_rise_mib"][-1],
        "largest_relative_difference": same["largest_relative_difference"],
        "largest_difference_over_median": same["largest_difference_over_median"],
        "fewest_elites_shared": same["fewest_elites_shared"],
    }


def quick() -> dict[str, Any]:
    """Our side alone: 300 candidates scored once, and a plan of the recipe, with random weights."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    recipe = recipes.get(RECIPE)
    space = ActionSpace((-2.4, -2.4), (2.4, 2.4), max_norm=2.4, block=BLOCK, held=False)
    config = ModelConfig("random", (56, 56, 3), space, perception=Patches(resolution=56), predictor=History())
    model = Model(replace(config, recovered="none")).eval()
    for block in model.predictor.get_submodule("blocks").children():
        torch.nn.init.normal_(block.get_submodule("condition").get_parameter("weight"), std=0.1)
    frames = np.random.default_rng(0).integers(0, 256, (2, 1, 56, 56, 3), dtype=np.uint8)
    data = {"start": frames[0], "goal": frames[1]}
    candidates = torch.randn(1, 1, SAMPLES, HORIZON, space.size, generator=torch.Generator().manual_seed(0))
    _, scored = same_candidates(model, data, candidates)
    planned = same_energy(model, data, free=False)
    rates = matmul_rates(size=1024, seconds=1.0)
    return {
        "cpu_seconds_per_iteration": scored["cpu_seconds"][0],
        "cpu_seconds_per_plan_of_the_peers_candidates": scored["cpu_seconds"][0] * ITERATIONS,
        "floor_cpu_seconds": scored["flops"] * ITERATIONS / max(rates.values()),
        "cpu_seconds_per_plan": planned["cpu_seconds"][0],
        "evaluations_per_plan": planned["evaluations"][0],
        "peak_rise_megabytes": scored["memory"][0]["peak_rise_mib"],
        "recipe": recipe.name,
        "machine": machine(),
    }


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--peer-python")
    parser.add_argument("--states", type=int, default=50)
    parser.add_argument("--folder", type=Path, default=Path("runs/planning"))
    parser.add_argument("--part", choices=("candidates", "energy", "full"), help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.quick:
        print(json.dumps(quick()))
        return
    folder = given.folder.resolve()
    if given.part:
        measure_ours(folder, given.part, given.threads)
        return
    if not (given.model and given.data and given.peer_python):
        parser.error("give --model, --data and --peer-python, or --quick.")
    prepare(folder, given.model, given.data, given.states)
    result = compare(folder, given.peer_python, given.states)
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
