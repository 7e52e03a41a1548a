"""Two processes train as one does, go on with what the other began, and end together."""

import importlib
import json
import re
from dataclasses import replace

import pytest
import together
import torch
from torch import multiprocessing

from telos.data import EpisodeStore
from telos.errors import TrainingError
from telos.model import Model
from telos.training import Compute, train
from telos.training.batches import BlockWindows
from telos.training.distributed import Processes
from telos.training.run import STATE

training = importlib.import_module("telos.training.train")  # the package has a function of this name
SAME = {
    "rooms": "rooms",
    "masked": "masked",
    "taught": "taught",
    "joining": "joining",
    "sketched": "sketched",
    "sharded": "sketched",
    "resumed": "rooms",
}


@pytest.fixture(scope="module")
def alone(store, tmp_path_factory):
    """The runs of one process."""
    folder = tmp_path_factory.mktemp("alone")
    for name in ("rooms", "masked", "taught", "joining", "sketched"):
        together.fit(store.path, name, folder / name)
    return folder


@pytest.fixture(scope="module")
def both(store, tmp_path_factory):
    """The runs of two processes; "resumed" is one that a single process began and was killed in."""
    folder = tmp_path_factory.mktemp("both")
    stop = together.stop_at("representation", 2, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        together.fit(store.path, "rooms", folder / "resumed", save_seconds=0, progress=stop)
    assert (folder / "resumed" / STATE).exists()
    multiprocessing.spawn(together.pair, (str(store.path), str(folder)), nprocs=2)
    return folder


def assert_same_losses(one, two, *, rel=1e-4):
    one, two = together.curves(one), together.curves(two)
    assert [(row["stage"], row["step"]) for row in two] == [(row["stage"], row["step"]) for row in one]
    assert len(one) >= 8
    for first, second in zip(one, two, strict=True):
        del first["stage"], second["stage"]
        assert second == pytest.approx(first, rel=rel, abs=1e-5)


def raised(both, name):
    return [json.loads((both / f"{rank}.json").read_text())[name] for rank in range(2)]


@pytest.mark.parametrize("name", SAME)
def test_every_step_has_the_losses_of_one_process(name, alone, both):
    rel = 5e-3 if SAME[name] == "sketched" else 1e-4
    assert_same_losses(alone / SAME[name], both / name, rel=rel)


@pytest.mark.parametrize("name", SAME)
def test_the_weights_are_those_of_one_process(name, alone, both):
    one, two = (Model.load(path / "model").state_dict() for path in (alone / SAME[name], both / name))
    assert one.keys() == two.keys()
    kept = [key for key in one if one[key].is_floating_point() and not key.startswith("readouts")]
    if SAME[name] == "sketched":
        # Before a batch normalisation a bias has no gradient but rounding errors, of which Adam makes whole
        # steps, and the normalisation's running mean, which the decoder looks through, follows.
        kept = [key for key in kept if key.endswith("weight") and not key.startswith("decoder")]
    assert len(kept) > 15
    for key in kept:
        torch.testing.assert_close(two[key], one[key], rtol=1e-3, atol=2e-4)


def test_one_process_goes_on_with_the_run_of_two(store, alone, both, tmp_path):
    folder = together.copy_run(both / "ctrl_c", tmp_path / "run")
    assert (together.curves(folder)[-1]["stage"], together.curves(folder)[-1]["step"]) == ("prediction", 3)
    together.fit(store.path, "rooms", folder)
    assert_same_losses(alone / "rooms", folder)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("state", r"the loss \(.*prediction.*\) of process 0, 1 is not finite at step 0 of stage 'represent"),
        ("picture", r"the loss \(decoder_error\) of process 1 is not finite at step 0 of stage 'decoder'"),
    ],
)
def test_a_loss_that_is_not_finite_in_one_process_ends_both(name, message, both):
    first, second = raised(both, name)
    assert first == second
    assert first[0] == "TrainingError"
    assert re.search(message, first[1]), first[1]


def test_what_one_process_alone_finds_ends_the_other(both):
    other, finder = raised(both, "collapsed")
    assert finder == ["TrainingError", "the representation has collapsed"]
    assert other[0] == "TrainingError"
    assert "another of the 2 processes stopped" in other[1]


def test_a_full_disk_of_the_first_ends_both(both):
    first, second = raised(both, "full")
    assert first[0] == "CheckpointError"
    assert "No space left" in first[1]
    assert second[0] == "TrainingError"
    assert "process 0 of 2 stopped" in second[1]
    assert "No space left" in second[1]


def test_ctrl_c_in_one_process_ends_both_after_the_same_step(both):
    assert [kind for kind, _ in raised(both, "ctrl_c")] == ["KeyboardInterrupt"] * 2


def of_two(rank):
    processes = Processes()
    processes.rank, processes.count = rank, 2
    return processes


@pytest.mark.parametrize("batch", [4, 7])
def test_rows_are_shared_out_without_repeats_and_weigh_what_they_are(batch):
    rows = [list(range(batch)[of_two(rank).rows(batch)]) for rank in range(2)]
    assert rows[0] + rows[1] == list(range(batch))
    values = torch.rand(batch)
    parts = [of_two(rank).share(batch) * values[of_two(rank).rows(batch)].mean() for rank in range(2)]
    assert float(sum(parts)) / 2 == pytest.approx(float(values.mean()))


def test_a_process_reads_its_rows_of_what_all_draw_and_no_others(store, monkeypatch):
    windows = BlockWindows(store, horizon=2, block=2, frames=1, episodes=range(4))
    pixels, actions = windows.sample(6, torch.Generator().manual_seed(1))
    read = []
    copy = EpisodeStore.copy_frames
    monkeypatch.setattr(
        EpisodeStore,
        "copy_frames",
        lambda self, episodes, *more: read.append(len(episodes)) or copy(self, episodes, *more),
    )
    generator = torch.Generator().manual_seed(1)
    own = windows.sample(6, generator, slice(3, 6))
    assert torch.equal(own[0], pixels[3:])
    assert torch.equal(own[1], actions[3:])
    assert read == [3]
    again = torch.Generator().manual_seed(1)
    windows.sample(6, again)
    assert torch.equal(generator.get_state(), again.get_state())


def test_a_batch_that_cannot_be_shared_out_is_refused(store, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "Processes", lambda: of_two(0))
    odd = replace(recipe, prediction=replace(recipe.prediction, optimisation=replace(together.FEW, batch=5)))
    refused = r"prediction.optimisation.batch .* multiple of their number, 2; got 5.*Change the batch"
    with pytest.raises(ValueError, match=refused):
        train(store, odd, tmp_path)
    few = replace(recipe, heads=replace(recipe.heads, decoder=replace(together.FEW, batch=5)))
    refused = r"heads.decoder.batch must have a window of 5 frames for each of the 2 .*; got 5. Raise it"
    with pytest.raises(ValueError, match=refused):
        train(store, few, tmp_path)
    assert not list(tmp_path.iterdir())


def test_windows_longer_than_the_episodes_are_refused_before_anything_is_trained(store, recipe, tmp_path):
    long = replace(recipe, prediction=replace(recipe.prediction, horizon=6))
    refused = r"prediction.horizon asks for windows of 25 frames; 0 of 11 .* longest 21, and 1 must"
    with pytest.raises(TrainingError, match=refused):
        train(store, long, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_with_dropout_goes_on_to_the_same_losses(store, alone, tmp_path):
    together.fit(store.path, "dropout", tmp_path / "whole")
    stop = together.stop_at("representation", 2, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        together.fit(store.path, "dropout", tmp_path / "run", save_seconds=0, progress=stop)
    torch.rand(3)
    together.fit(store.path, "dropout", tmp_path / "run")
    assert together.curves(tmp_path / "run") == together.curves(tmp_path / "whole")
    assert together.curves(tmp_path / "whole")[1] != together.curves(alone / "sketched")[1]


def test_micro_batches_change_nothing(store, alone, tmp_path):
    together.fit(store.path, "sketched", tmp_path, compute=Compute("cpu", micro_batches=3))
    assert_same_losses(alone / "sketched", tmp_path, rel=5e-3)


@pytest.mark.parametrize(
    ("sharding", "size", "place", "processes", "shards"),
    [
        ("auto", 10_000_000, "cuda", 2, True),
        ("auto", 9_999_999, "cuda", 2, False),
        ("auto", 10_000_000, "cpu", 2, False),  # the memory is that of all
        ("auto", 10_000_000, "cuda", 1, False),
        ("full", 1, "cpu", 2, True),
        ("full", 1, "cpu", 1, False),
        ("none", 10_000_000, "cuda", 2, False),
    ],
)
def test_large_models_are_sharded_over_gpus(sharding, size, place, processes, shards, monkeypatch):
    monkeypatch.setattr(Compute, "place", lambda self: torch.device(place))
    trained = [torch.nn.Parameter(torch.empty(size, device="meta"))]
    assert Compute(sharding=sharding).shards(trained, processes) == shards


@pytest.mark.parametrize(
    ("settings", "refused"),
    [
        ({"micro_batches": 0}, "at least 1; got 0"),
        ({"device": "tpu"}, "device"),
        ({"device": "cuda"}, "no GPU"),
    ],
)
def test_what_cannot_be_computed_with_is_refused(settings, refused, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises((ValueError, LookupError), match=refused):
        Compute(**settings)
