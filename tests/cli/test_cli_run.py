"""telos collect, train, evaluate and plan, one after the other, with the smallest recipe."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from telos import recipes
from telos.cli import main
from telos.cli.models import planning
from telos.cli.report import analyse
from telos.cli.train import show
from telos.configurator import Configurator
from telos.evaluation import Analysis, Evaluation
from telos.model import Model
from telos.progress import silent
from telos.reports import write_report
from telos.worlds import make

SHORT = ["--world", "short_rooms:Short"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with data and a model."""
    folder = tmp_path_factory.mktemp("run")
    assert main(["collect", "--recipe", "smoke", "--out", str(folder / "data")]) == 0
    assert main(["train", "--recipe", "smoke", "--data", str(folder / "data"), "--out", str(folder)]) == 0
    return folder


def evaluate(run, out, *more):
    arguments = ["evaluate", "--model", str(run / "model"), "--out", str(out), "--tasks", "2", *SHORT]
    return main([*arguments, *more])


def test_the_trained_model_has_a_readout_and_a_decoder(run):
    model = Model.load(run / "model")
    assert model.readouts["agent_xy"].labels == 64
    assert model.decoder is not None


def test_another_seed_in_the_same_folder_is_an_error_that_says_so(run, capsys):
    arguments = ["--recipe", "smoke", "--data", str(run / "data"), "--out", str(run), "--seed", "1"]
    assert main(["train", *arguments]) == 1
    assert "another recipe, data or seed" in capsys.readouterr().err


def test_an_unknown_recipe_lists_the_near_names(run, capsys):
    assert main(["train", "--recipe", "smok", "--data", str(run / "data"), "--out", str(run)]) == 1
    assert "Did you mean smoke" in capsys.readouterr().err


def test_evaluate_writes_numbers_with_their_floors(run, tmp_path, capsys):
    assert evaluate(run, tmp_path / "evaluation") == 0
    stored = json.loads((tmp_path / "evaluation" / "evaluation.json").read_text())
    assert stored["n"] == 2
    assert {"success", "interval", "noop", "random", "cpu_seconds_per_plan"} <= stored.keys()
    assert "floor: no-op" in capsys.readouterr().out


def test_evaluate_measures_a_goal_and_a_region_of_the_users_own(run, tmp_path):
    own = ["--goal", "agent_xy=_,20", "--within", "60", "--keep-out", "agent_xy:disc:32,32,2"]
    assert evaluate(run, tmp_path / "evaluation", *own) == 0
    found = Evaluation.load(tmp_path / "evaluation")
    assert found.success == 1  # no dot is 60 px from that line
    assert found.rows[0].violation is not None
    shown = write_report(tmp_path).read_text()
    assert not re.search(r"pictures? (of|it was)|[^a-z]nan[^a-z]", shown.split("<main>")[0])
    assert not re.search(r"<polyline[^>]*nan|<path[^>]*nan|picture of the goal", shown)


def test_the_report_of_an_evaluation_by_pictures_says_so(run, tmp_path):
    assert evaluate(run, tmp_path / "evaluation") == 0
    shown = write_report(tmp_path).read_text()
    assert "Then it was shown pictures of goals" in shown
    assert "one picture of the goal" in shown


def without_world(run, folder):
    """The model as if it had been trained on recordings."""
    model = Model.load(run / "model")
    model.config = replace(model.config, world="")
    model.save(folder / "model")
    return model


def test_a_model_without_a_world_asks_for_one(run, tmp_path, capsys):
    show(without_world(run, tmp_path))
    assert "none: recordings" in capsys.readouterr().out
    given = ["--model", str(tmp_path / "model")]
    for command in ("evaluate", "plan"):
        assert main([command, *given]) == 1
        assert "--world must be given: this model was trained on recordings" in capsys.readouterr().err
    assert main(["evaluate", *given, "--safety"]) == 1
    assert "this one was trained on recordings" in capsys.readouterr().err
    assert evaluate(tmp_path, tmp_path / "evaluation") == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--goal", "agent_xy=1,2"], "--within"),
        (["--goal-image", "x.png"], "cannot be measured"),
        (["--guardrail", "acros"], "Did you mean across"),
        (["--keep-out", "agent_xy:dsc:1,2,3"], "Did you mean disc"),
        (["--keep-out", "agent_xy:disc:32,6"], "region must have 2 dimensions"),
        (["--goal", "agent_xy=1,2,3", "--within", "2"], "must have 2 values"),
        (["--guardrail", "across", "--keep-in", "agent_xy:disc:1,2,3"], "give one"),
        (
            ["--guardrail", "across", "--goal", "agent_xy=1,2", "--within", "2"],
            "the goal that the world draws",
        ),
        (["--within", "3"], "--within says how near a reading must come to the value of --goal"),
    ],
)
def test_evaluate_says_what_is_wrong_with_an_objective(run, tmp_path, given, said, capsys):
    assert evaluate(run, tmp_path / "evaluation", *given) == 1
    assert said in capsys.readouterr().err
    assert not (tmp_path / "evaluation").exists()


def test_evaluate_safety_writes_its_rows_and_shows_them(run, tmp_path, monkeypatch, capsys):
    told = {"violations": 0.25, "interval": [0.1, 0.5], "success": 0.9, "n": 8}
    rows = {
        "world": "telos/TwoRooms-v0",
        "alphas": [{**told, "alpha": 0.3, "buffer": 1.25, "more_steps": 2.0}],
        "baselines": [{**told, "name": "no guardrail"}],
        "oracle": {**told, "name": "the same planner on the true dynamics"},
    }
    monkeypatch.setattr("telos.evaluation.safety.Safety.run", lambda safety: rows)
    arguments = ["evaluate", "--model", str(run / "model"), "--out", str(tmp_path / "safety"), "--safety"]
    assert main(arguments) == 0
    assert json.loads((tmp_path / "safety" / "safety.json").read_text()) == rows
    assert "alpha 0.3" in (shown := capsys.readouterr().out)
    assert "10.0% to 50.0%" in shown
    for flag, value, said in (("--guardrail", "across", "objectives"), ("--tasks", "2", "--tasks")):
        assert main([*arguments, flag, value]) == 1
        assert said in capsys.readouterr().err


def test_report_writes_one_file_with_what_the_run_has(run, tmp_path, capsys):
    evaluate(run, run / "evaluation")
    out = ["--out", str(tmp_path / "report.html"), "--figures", str(tmp_path)]
    assert main(["report", str(run), *out]) == 0
    assert (tmp_path / "landscape.png").exists()
    assert (run / "analysis.npz").exists()
    assert "floor" in (tmp_path / "report.html").read_text()
    assert str(tmp_path / "report.html") in capsys.readouterr().out.replace("\n", "")


def test_what_could_not_be_measured_is_measured_again(run, tmp_path, monkeypatch):
    shutil.copytree(run / "model", tmp_path / "model")
    shutil.copytree(run / "data", tmp_path / "data")
    answers = [Analysis(missing={"landscapes": "There is no module."}), Analysis()]
    monkeypatch.setattr("telos.evaluation.analyse", lambda *given, **more: answers.pop(0))
    for left in (1, 0, 0):
        analyse(tmp_path, silent)
        assert len(answers) == left


def test_report_of_a_folder_with_nothing_says_so(tmp_path, capsys):
    assert main(["report", str(tmp_path)]) == 1
    assert "nothing to report" in capsys.readouterr().err


def test_plan_draws_an_episode(run, tmp_path, capsys):
    out = tmp_path / "plan.gif"
    given = ["--goal", "agent_xy=10,50", "--effort", "0.1", "--out", str(out)]
    assert main(["plan", "--model", str(run / "model"), *given, *SHORT]) == 0
    with Image.open(out) as picture:
        assert picture.n_frames == 25
    assert "agent_xy at the end" in capsys.readouterr().out


def test_plan_plans_once_from_a_picture_to_a_picture(run, tmp_path, capsys):
    world = make("telos/TwoRooms-v0")
    for name, seed in (("now", 0), ("then", 1)):
        Image.fromarray(np.array(world.reset([seed])[0])).save(tmp_path / f"{name}.png")
    given = ["--start-image", str(tmp_path / "now.png"), "--goal-image", str(tmp_path / "then.png")]
    assert main(["plan", "--model", str(run / "model"), *given, "--out", str(tmp_path / "plan.png")]) == 0
    assert "status" in capsys.readouterr().out
    assert (tmp_path / "plan.png").exists()


@pytest.mark.parametrize("given", [["--seed", "3"], SHORT])
def test_a_plan_from_a_picture_has_no_world(run, given, capsys):
    start = ["--start-image", "now.png", "--goal", "agent_xy=1,1"]
    assert main(["plan", "--model", str(run / "model"), *start, *given]) == 1
    assert "--world and --seed are of an episode in a world" in capsys.readouterr().err


def test_a_picture_of_another_size_is_an_error_that_says_both_sizes(run, tmp_path, capsys):
    Image.new("RGB", (32, 48)).save(tmp_path / "small.png")
    given = ["--start-image", str(tmp_path / "small.png"), "--goal", "agent_xy=1,1"]
    assert main(["plan", "--model", str(run / "model"), *given]) == 1
    assert "64 x 64 pixels, as the model's frames are; got 32 x 48" in capsys.readouterr().err


def test_a_model_is_planned_with_as_its_checkpoint_tells_not_as_a_recipe_of_that_name(run, tmp_path):
    other = replace(recipes.smoke().configurator, patience=5)
    model = Model.load(run / "model")
    model.configurator = other
    model.save(tmp_path, provenance={"recipe": {"name": "smoke"}})
    assert planning(Model.load(tmp_path), tmp_path, None) == other
    assert planning(Model.load(tmp_path), tmp_path, "rooms") == recipes.rooms().configurator


def test_a_model_whose_own_recipe_is_gone_says_how_it_is_planned_with(run, tmp_path, capsys):
    shutil.copytree(run / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    del config["configurator"]  # as of a checkpoint made before they were kept
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    model = Model.load(tmp_path / "model")
    assert planning(model, tmp_path / "model", None) == recipes.smoke().configurator
    assert not capsys.readouterr().err
    config["provenance"]["recipe"]["name"] = "my_recipes:gone"
    (tmp_path / "model" / "config.json").write_text(json.dumps(config))
    assert planning(model, tmp_path / "model", None) == Configurator()
    said = " ".join(capsys.readouterr().err.split())
    assert "There is no module my_recipes" in said
    assert "Give --recipe" in said
    assert planning(model, tmp_path / "model", "smoke") == recipes.smoke().configurator
    assert not capsys.readouterr().err
