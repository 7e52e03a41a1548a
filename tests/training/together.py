"""What `test_distributed.py` runs in one process and in two: small recipes, and what may go wrong."""

import errno
import json
import os
import shutil
import signal
import traceback
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import safetensors.torch
import torch
from torch import distributed

from telos import recipes
from telos.data import EpisodeStore
from telos.model import Model
from telos.perception import BroadcastDecoder, KeypointEncoder, Patches
from telos.training import Compute, Heads, Optimisation, Sketched, methods, train
from telos.training.run import Run
from telos.world_model import History

FEW = Optimisation(steps=4, batch=4, warmup=2)
HEADS = Heads(labels=30, readout_steps=2, decoder=replace(FEW, batch=13))  # three windows, so unequal parts


def small(name):
    """A recipe by its name here."""
    if name == "dropout":
        recipe = small("sketched")
        predictor = replace(recipe.architecture.predictor, dropout=0.3)
        return replace(recipe, architecture=replace(recipe.architecture, predictor=predictor))
    if name == "sketched":
        lewm = recipes.get("lewm-short")
        perception = Patches(8, resolution=16, grid=4, patch=4, width=12, depth=1, heads=2, projection=10)
        predictor = History(depth=1, heads=2, head_size=4, hidden=16, projection=10, dropout=0.0)
        parts = replace(lewm.architecture, perception=perception, predictor=predictor)
        stage = Sketched(optimisation=replace(FEW, clip=1.0), slices=8)
        return replace(lewm, architecture=parts, representation=stage, heads=HEADS)
    smoke = recipes.get("smoke")
    method = {
        "rooms": methods.VarianceCovariance(),
        "masked": methods.MaskedAutoencoding(),
        "taught": methods.DINO(head=methods.Head(hidden=16, size=8), classes=12),
        "joining": methods.VICReg(head=methods.Head(hidden=16, size=8)),
    }[name]
    joins = 0.5 if name == "joining" else 0.0
    first = replace(smoke.representation, optimisation=FEW, method=method, joins=joins)
    prediction = replace(smoke.prediction, optimisation=FEW)
    return replace(smoke, representation=first, prediction=prediction, heads=HEADS)


def fit(data, name, folder, *, save_seconds=30.0, compute=None, **more):
    """Train in single precision, with a line of metrics for every step."""
    defaults, precision = Run.stage_loop.__kwdefaults__, Model.precision
    Run.stage_loop.__kwdefaults__ = {**defaults, "every": 1}
    Model.precision = lambda self: torch.autocast("cpu", enabled=False)
    try:
        store, compute = EpisodeStore.open(data), compute or Compute("cpu")
        return train(store, small(name), folder, seed=5, save_seconds=save_seconds, compute=compute, **more)
    finally:
        Run.stage_loop.__kwdefaults__, Model.precision = defaults, precision


def curves(folder):
    """The rows of metrics, without what a run costs."""
    rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "cpu_seconds"} for row in rows]


def stop_at(stage, step, how):
    """A progress that stops a run after a step."""

    def progress(name, done, total, **values):
        if (name, done) == (stage, step):
            how()

    return progress


def interrupt():
    """Ctrl-C, of this process alone."""
    os.kill(os.getpid(), signal.SIGINT)


def break_in_one(rank, part, name):
    """In process 1, a function of a network gives what is not finite."""
    whole = getattr(part, name)
    if rank == 1:
        setattr(part, name, lambda *given: whole(*given) * float("nan"))
    return lambda: setattr(part, name, whole)


def collapse(rank):
    """In process 1, find at step 2 that the representation has collapsed; process 0 does not look."""
    from telos.errors import TrainingError

    forward = KeypointEncoder.moving
    calls = []

    def moving(self, features):
        calls.append(1)
        if len(calls) == 2:
            raise TrainingError("the representation has collapsed")
        return forward(self, features)

    if rank == 1:
        KeypointEncoder.moving = moving

    def undo():
        KeypointEncoder.moving = forward

    return undo


def fill_disk(rank):
    """In process 0, no save succeeds."""
    save = safetensors.torch.save_file

    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    if rank == 0:
        safetensors.torch.save_file = full

    def undo():
        safetensors.torch.save_file = save

    return undo


@contextmanager
def group(folder, name, rank):
    """The process group of one scenario."""
    where = f"file://{folder}/{name}.rendezvous"
    distributed.init_process_group("gloo", init_method=where, rank=rank, world_size=2)
    try:
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()


def failing(rank, data, folder, name):
    """What a scenario raises."""
    broken = {
        "state": lambda: break_in_one(rank, KeypointEncoder, "moving"),
        "picture": lambda: break_in_one(rank, BroadcastDecoder, "forward"),
        "collapsed": lambda: collapse(rank),
        "full": lambda: fill_disk(rank),
        "ctrl_c": lambda: lambda: None,
    }[name]()
    progress = stop_at("prediction", 2, interrupt) if name == "ctrl_c" else stop_at("", 0, interrupt)
    try:
        fit(data, "rooms", folder / name, save_seconds=0, progress=progress)
    except BaseException as error:
        return [type(error).__name__, str(error)]
    finally:
        broken()
    return None


def pair(rank, data, folder):
    """All scenarios, in one of two processes; what was raised is left in `RANK.json`."""
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # wherever the tests run
    folder, raised = Path(folder), {}
    try:
        for name, settings in (
            ("rooms", {}),
            ("masked", {}),
            ("taught", {}),
            ("joining", {}),
            ("sketched", {}),
            ("sharded", {"sharding": "full", "micro_batches": 2}),
            ("resumed", {}),
        ):
            with group(folder, name, rank):
                recipe = {"sharded": "sketched", "resumed": "rooms"}.get(name, name)
                fit(data, recipe, folder / name, compute=Compute("cpu", **settings))
        for name in ("state", "picture", "collapsed", "full", "ctrl_c"):
            with group(folder, name, rank):
                raised[name] = failing(rank, data, folder, name)
    except BaseException:
        raised["broken"] = traceback.format_exc()
        raise
    finally:
        (folder / f"{rank}.json").write_text(json.dumps(raised))


def copy_run(source, target):
    """A run's folder, as another machine would find it."""
    shutil.copytree(source, target)
    return target
