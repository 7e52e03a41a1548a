"""Training: a model on disk, the same numbers after a kill, and messages that say what is wrong."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from telos.agent import Agent
from telos.checkpoint import fingerprint
from telos.configurator import Configurator
from telos.data import EpisodeStore
from telos.errors import CheckpointError, TrainingError
from telos.model import Model
from telos.perception import Features, KeypointEncoder
from telos.training import Heads, Optimisation, fit_decoder, fit_readouts, model_config, stages, train
from telos.training.run import METRICS, STATE
from telos.training.stages import has_collapsed
from telos.training.train import _new_model
from telos.world_model import Recurrent

STAGES = ["representation", "prediction", "decoder"]


@pytest.fixture(scope="session")
def whole(store, recipe, tmp_path_factory):
    """The folder of a run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    train(store, recipe, folder, seed=5)
    return folder


def metrics(folder):
    rows = [json.loads(line) for line in (folder / METRICS).read_text().splitlines()]
    return [{key: value for key, value in row.items() if key != "cpu_seconds"} for row in rows]


def same_weights(first, second):
    first, second = Model.load(first / "model").state_dict(), Model.load(second / "model").state_dict()
    assert first.keys() == second.keys()
    return all(torch.equal(first[name].nan_to_num(7), second[name].nan_to_num(7)) for name in first)


def stop_at(stage, step, how):
    def progress(name, done, total, **values):
        if (name, done) == (stage, step):
            how()

    return progress


def interrupt():
    raise KeyboardInterrupt


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_run_ends_with_a_model_and_its_curves(whole, store, recipe):
    model = Model.load(whole / "model")
    assert model.config == model_config(store, recipe)
    assert model.decoder is not None
    assert model.readouts["agent_xy"].labels == 30
    assert model.readouts["agent_xy"].error > 0
    assert [(row["stage"], row["step"]) for row in metrics(whole)] == [
        (s, n) for s in STAGES for n in (20, 22)
    ]


def test_the_checkpoint_remembers_how_it_was_made(whole, store):
    provenance = json.loads((whole / "model" / "config.json").read_text())["provenance"]
    assert provenance["recipe"]["name"] == "smoke"
    assert (provenance["seed"], provenance["frames"]) == (5, store.num_frames)


def test_the_model_is_planned_with_as_its_recipe_says_and_so_is_the_one_on_disk(whole, recipe):
    model = Model.load(whole / "model")
    assert model.configurator == recipe.configurator != Configurator()
    assert Agent(model).configurator == recipe.configurator


KILLED = """
import sys
sys.path[:0] = sys.argv[1:3]
import conftest, test_train, torch
torch.set_num_threads(1)
store = test_train.EpisodeStore.open(sys.argv[3])
recipe = conftest.recipe.__wrapped__()
stop = test_train.stop_at("representation", 20, test_train.die)
test_train.train(store, recipe, sys.argv[4], seed=5, save_seconds=0, progress=stop)
"""


def test_predictors_that_begin_anew_keep_nothing_of_the_first_stage(store, recipe, tmp_path):
    assert recipe.prediction is not None
    none = replace(recipe.prediction, optimisation=replace(recipe.prediction.optimisation, steps=0))
    kept = train(store, replace(recipe, prediction=none), tmp_path / "kept", seed=5)
    anew = train(store, replace(recipe, prediction=replace(none, anew=True)), tmp_path / "anew", seed=5)
    first = _new_model(model_config(store, recipe), store, recipe, 5)
    assert fingerprint(anew.predictors) == fingerprint(first.predictors) != fingerprint(kept.predictors)
    assert fingerprint(anew.encoder) == fingerprint(kept.encoder) != fingerprint(first.encoder)


def test_a_new_predictor_is_not_made_again_when_its_stage_goes_on(store, recipe, tmp_path):
    assert recipe.prediction is not None
    anew = replace(recipe, prediction=replace(recipe.prediction, anew=True))
    train(store, anew, tmp_path / "whole", seed=5)
    with pytest.raises(KeyboardInterrupt):
        train(
            store, anew, tmp_path / "b", seed=5, save_seconds=0, progress=stop_at("prediction", 15, interrupt)
        )
    train(store, anew, tmp_path / "b", seed=5)
    assert metrics(tmp_path / "b") == metrics(tmp_path / "whole")
    assert same_weights(tmp_path / "b", tmp_path / "whole")


def test_a_run_that_was_killed_reaches_the_numbers_of_one_that_was_not(store, recipe, whole, tmp_path):
    here = os.path.dirname(__file__)  # noqa: PTH120
    paths = [here, os.getcwd(), str(store.path), str(tmp_path)]  # noqa: PTH109
    ended = subprocess.run([sys.executable, "-c", KILLED, *paths], capture_output=True, text=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert [row["step"] for row in metrics(tmp_path)] == [20]  # written, and not yet saved: a lost step
    train(store, recipe, tmp_path, seed=5)
    assert metrics(tmp_path) == metrics(whole)
    assert same_weights(tmp_path, whole)


@pytest.mark.parametrize(("stage", "step"), [("prediction", 20), ("decoder", 7), ("readouts", 1)])
def test_an_interrupted_run_reaches_the_same_numbers(store, recipe, whole, tmp_path, stage, step):
    with pytest.raises(KeyboardInterrupt):
        train(store, recipe, tmp_path, seed=5, save_seconds=0, progress=stop_at(stage, step, interrupt))
    train(store, recipe, tmp_path, seed=5)
    assert metrics(tmp_path) == metrics(whole)
    assert same_weights(tmp_path, whole)


@pytest.mark.parametrize("back", [2, 0])  # steps before the last
def test_ctrl_c_saves_the_step_and_is_not_lost_in_the_last_one(store, recipe, whole, tmp_path, back):
    steps = recipe.representation.optimisation.steps
    stop = stop_at("representation", steps - back, lambda: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # wherever the tests run
    try:
        with pytest.raises(KeyboardInterrupt):
            train(store, recipe, tmp_path, seed=5, save_seconds=1e9, progress=stop)
    finally:
        signal.signal(signal.SIGINT, before)
    again = []
    train(store, recipe, tmp_path, seed=5, progress=lambda *told, **_: again.append(told[:2]))
    assert ("representation", steps - back) not in again
    assert ("representation", 1) not in again
    assert metrics(tmp_path) == metrics(whole)
    assert same_weights(tmp_path, whole)


def test_a_finished_run_is_not_trained_again(store, recipe, whole):
    before = metrics(whole)
    stages = set()
    train(store, recipe, whole, seed=5, progress=lambda name, *_, **__: stages.add(name))
    assert stages == {"readouts"}
    assert metrics(whole) == before


def test_another_seed_recipe_or_store_in_the_folder_is_an_error(store, recipe, whole, tmp_path):
    other = replace(recipe, prediction=replace(recipe.prediction, horizon=3))
    copy = EpisodeStore.open(store.path)
    copy.schema = replace(store.schema, source={**store.schema.source, "seed": 1})
    like = EpisodeStore.create(tmp_path / "like", store.schema)  # of as many episodes and frames
    like.append([store[(index + 1) % len(store)] for index in range(len(store))])
    assert like.num_frames == store.num_frames
    for arguments in (
        (store, recipe, whole, 6),
        (store, other, whole, 5),
        (copy, recipe, whole, 5),
        (like, recipe, whole, 5),
    ):
        with pytest.raises(CheckpointError, match=r"another recipe, data or seed.*another folder"):
            train(*arguments[:3], seed=arguments[3])


def test_how_to_plan_may_change_without_training_again(store, recipe, whole):
    before = (whole / METRICS).read_bytes()
    configurator = replace(recipe.configurator, patience=recipe.configurator.patience + 1)
    train(store, replace(recipe, configurator=configurator), whole, seed=5)
    assert (whole / METRICS).read_bytes() == before


def test_two_cannot_train_in_one_folder_and_the_second_touches_nothing(store, recipe, tmp_path):
    seen = []

    def meanwhile(stage, done, total, **values):
        if not seen:
            seen.append(sorted(path.name for path in tmp_path.iterdir()))
            with pytest.raises(CheckpointError, match="another process is training in"):
                train(store, recipe, tmp_path)
            assert sorted(path.name for path in tmp_path.iterdir()) == seen[0]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(store, recipe, tmp_path, progress=meanwhile)
    with pytest.raises(KeyboardInterrupt):  # the folder is free again
        train(store, recipe, tmp_path, progress=stop_at("representation", 1, interrupt))
    assert len(seen) == 1


def test_a_poisoned_weight_stops_training_and_leaves_the_last_save(store, recipe, tmp_path, monkeypatch):
    progress = stop_at("representation", 5, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(store, recipe, tmp_path, save_seconds=0, progress=progress)
    before = (tmp_path / STATE).read_bytes()
    moving = KeypointEncoder.moving
    monkeypatch.setattr(
        "telos.perception.KeypointEncoder.moving",
        lambda self, features: moving(self, features) * float("nan"),
    )
    with pytest.raises(TrainingError, match="not finite at step 4 of stage 'representation'"):
        train(store, recipe, tmp_path)
    assert (tmp_path / STATE).read_bytes() == before


def test_nan_where_indicators_are_due_is_reported_as_such(store, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "INDICATORS_EVERY", 1)
    monkeypatch.setattr(
        "telos.perception.KeypointEncoder.standardise_by",
        lambda self, _: self.pixel_mean.fill_(float("nan")),
    )
    with pytest.raises(TrainingError, match="not finite at step 0"):
        train(store, recipe, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reflex", "message"),
    [
        ({}, False, r"heads.decoder asks for windows of \d+ frames; 0 of 11 .*heads.decoder.steps=0"),
        ({"heads": Heads(decoder=Optimisation(0, 1))}, True, r"a reflex asks for windows of .* leave it out"),
    ],
)
def test_windows_of_what_is_trained_last_are_looked_at_first(
    store, recipe, tmp_path, changes, reflex, message
):
    short = replace(
        recipe,
        architecture=replace(recipe.architecture, block=6),
        representation=replace(recipe.representation, horizon=3),
        prediction=replace(recipe.prediction, horizon=3),
    )
    with pytest.raises(TrainingError, match=message):
        train(store, replace(short, **changes), tmp_path, reflex=reflex)
    assert not (tmp_path / STATE).exists()


def test_without_a_decoder_windows_may_be_shorter_than_it_asks_for(store, recipe, tmp_path):
    short = replace(
        recipe,
        architecture=replace(recipe.architecture, block=6),
        representation=replace(recipe.representation, horizon=3),
        prediction=replace(recipe.prediction, horizon=3),
        heads=replace(recipe.heads, decoder=Optimisation(steps=0, batch=1)),
    )
    train(store, short, tmp_path)
    assert Model.load(tmp_path / "model").readouts["agent_xy"].labels == 30


@pytest.mark.parametrize("wrong", [{"labels": 1}, {"readout_steps": 0}])
def test_heads_that_cannot_be_trained_are_refused_before_anything_is(wrong):
    with pytest.raises(ValueError, match=r"labels must be at least 2 and readout_steps at least 1; got"):
        Heads(**wrong)


def test_a_collapsed_representation_stops_unless_it_is_allowed(store, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "INDICATORS_EVERY", 10)
    monkeypatch.setattr(
        "telos.perception.KeypointEncoder.moving",
        lambda self, features: self.stem.bias.sum().expand(len(features), self.size),
    )
    monkeypatch.setattr(stages, "SUSPECTED", 1)
    with pytest.raises(TrainingError, match=r"collapsed at step 10: standard deviation 0.0000"):
        train(store, recipe, tmp_path)
    reached = stop_at("prediction", 1, interrupt)
    with pytest.raises(KeyboardInterrupt):
        train(store, recipe, tmp_path, allow_collapse=True, progress=reached)


def test_one_odd_batch_is_not_a_collapse(store, recipe, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "INDICATORS_EVERY", 1)
    readings = iter(8 * [False] + [True, False, True, True])
    monkeypatch.setattr(stages, "has_collapsed", lambda values: next(readings))
    with pytest.raises(TrainingError, match="collapsed at step 12"):
        train(store, recipe, tmp_path)


@pytest.mark.parametrize(("std", "within"), [(0.001, 0.5), (1.0, 0.001)])
def test_either_indicator_alone_tells_of_a_collapse(std, within):
    assert has_collapsed({"std": std, "within_episode_variance": within})
    assert not has_collapsed({"std": 1.0, "within_episode_variance": 0.5})


def test_pixel_statistics_are_of_training_frames(store, recipe, monkeypatch):
    seen = []
    monkeypatch.setattr(
        "telos.perception.KeypointEncoder.standardise_by", lambda self, sample: seen.append(sample)
    )
    _new_model(model_config(store, recipe), store, recipe, 0)
    frames = (
        torch.cat([torch.from_numpy(store[int(i)].frames) for i in store.split()[0]]).flatten(0, 2).float()
    )
    (sample,) = seen
    assert sample.shape[1:] == (3, *store.schema.frame_shape[:2])
    assert torch.allclose(sample.float().mean((0, 2, 3)), frames.mean(0), rtol=0.02)
    assert torch.allclose(sample.float().std((0, 2, 3)), frames.std(0), rtol=0.02)


def test_heads_leave_the_encoder_and_the_random_state_alone(store, whole, recipe):
    model = Model.load(whole / "model")
    before = {name: value.clone() for name, value in model.state_dict().items() if name.startswith("encoder")}
    state = torch.get_rng_state()
    fit_readouts(model, store, recipe.heads)
    fit_decoder(model, store, Optimisation(steps=2, batch=5))
    assert all(torch.equal(value, model.state_dict()[name]) for name, value in before.items())
    assert torch.equal(torch.get_rng_state(), state)


def test_labels_come_from_training_episodes_and_errors_from_held_out_ones(store, whole, recipe, monkeypatch):
    from telos.data import labelled_frames

    asked = []
    monkeypatch.setattr(
        "telos.training.heads.labelled_frames",
        lambda *a, episodes, **k: asked.append(list(episodes)) or labelled_frames(*a, episodes=episodes, **k),
    )
    fit_readouts(Model.load(whole / "model"), store, replace(recipe.heads, labels=10**6))
    assert asked == [list(part) for part in store.split()]


def test_more_labels_than_frames_uses_all_of_them(store, whole, recipe):
    model = Model.load(whole / "model")
    fit_readouts(model, store, replace(recipe.heads, labels=10**6))
    assert model.readouts["agent_xy"].labels == store.lengths[store.split()[0]].sum()


def test_an_encoder_that_no_step_follows_has_the_statistics_of_its_normalisation(store, recipe):
    stage = recipe.representation
    idle = replace(
        recipe,
        architecture=replace(recipe.architecture, perception=Features(4), predictor=Recurrent()),
        representation=replace(stage, optimisation=replace(stage.optimisation, steps=0)),
    )
    model = _new_model(model_config(store, idle), store, idle, seed=0).eval()
    record = store[0]
    with torch.no_grad():
        states = model.encode_video(torch.from_numpy(record.frames.copy()).permute(0, 3, 1, 2))
    pose = states[:, :4]
    assert pose.mean(0).abs().max() < 2  # an episode, of batches whose mean is 0
    norm = next(part for part in model.encoder.modules() if isinstance(part, torch.nn.BatchNorm1d))
    assert norm.running_mean.abs().max() > 0
    assert norm.momentum == 0.1


def test_numbers_of_an_optimisation_are_finite():
    with pytest.raises(ValueError, match=r"every number must be finite.*To clip nothing, give clip=1e9"):
        Optimisation(steps=1, batch=1, clip=float("inf"))
