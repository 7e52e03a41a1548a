"""The loop that all stages share: its rate, and that a broken step leaves the last save alone."""

import errno
import json
import math

import pytest
import safetensors.torch
import torch

from telos.errors import CheckpointError, TrainingError
from telos.progress import silent
from telos.training import Optimisation
from telos.training.run import METRICS, STATE, Run, _set_rate

FIVE = Optimisation(steps=5, batch=1, warmup=0)


def new_run(folder, fingerprint="a"):
    torch.manual_seed(0)
    return Run(folder, torch.nn.Linear(2, 1), fingerprint, seed=0)


def loop(run, optimisation=FIVE, *, broken_at=-1, gradient=False, name="first"):
    """Fit zero on random inputs; at step `broken_at` the loss, or only its gradient, is not finite."""

    def step(generator, number):
        loss = run.model(torch.randn(8, 2, generator=generator)).square().mean()
        if number == broken_at:
            loss = run.model.weight.square().sum().mul(0).sqrt() if gradient else loss * math.nan
        return loss, {"term": loss.detach()}

    run.stage_loop(name, run.model.parameters(), step, optimisation, progress=silent, every=1, save_seconds=0)


@pytest.mark.parametrize(("gradient", "what"), [(False, "the loss"), (True, "the gradient")])
def test_what_is_not_finite_stops_with_step_and_stage_and_leaves_the_save(tmp_path, gradient, what):
    refused = rf"{what}.* not finite at step 3 of stage 'first'.*unchanged"
    with new_run(tmp_path) as run, pytest.raises(TrainingError, match=refused):
        loop(run, broken_at=3, gradient=gradient)
    kept = new_run(tmp_path)
    assert (kept.stage, kept.step) == ("first", 3)
    assert all(torch.isfinite(value).all() for value in kept.model.state_dict().values())


def test_the_terms_that_are_not_finite_are_named(tmp_path):
    with pytest.raises(TrainingError, match=r"the loss \(term\)"):
        loop(new_run(tmp_path), broken_at=0)


def test_a_stage_that_is_finished_does_nothing(tmp_path):
    loop(new_run(tmp_path))
    again = new_run(tmp_path)
    before = again.model.weight.detach().clone()
    loop(again, broken_at=0)
    assert torch.equal(again.model.weight, before)
    assert again.finished == ["first"]


def test_a_resumed_stage_ends_where_an_unbroken_one_ends(tmp_path):
    loop(whole := new_run(tmp_path / "whole"))
    with pytest.raises(TrainingError):
        loop(new_run(tmp_path / "broken"), broken_at=2)
    loop(resumed := new_run(tmp_path / "broken"))
    assert torch.equal(whole.model.weight, resumed.model.weight)
    assert torch.equal(whole.generator.get_state(), resumed.generator.get_state())


def test_lines_of_lost_steps_and_half_a_line_are_dropped(tmp_path):
    with pytest.raises(TrainingError):
        loop(new_run(tmp_path), broken_at=2)
    with (tmp_path / METRICS).open("a") as file:
        file.write('{"stage": "first", "step": 3}\n{"stage": "second", "step": 1}\n{"stage": "fir')
    new_run(tmp_path)
    rows = [json.loads(line) for line in (tmp_path / METRICS).read_text().splitlines()]
    assert [(row["stage"], row["step"]) for row in rows] == [("first", 1), ("first", 2)]


def test_metrics_without_a_save_are_of_no_run(tmp_path):
    (tmp_path / METRICS).write_text('{"stage": "first", "step": 3}\n')
    new_run(tmp_path)
    assert (tmp_path / METRICS).read_text() == ""


def test_another_run_in_the_folder_is_an_error_that_says_so(tmp_path):
    loop(new_run(tmp_path))
    with pytest.raises(CheckpointError, match="another recipe, data or seed"):
        new_run(tmp_path, "b")


def test_a_damaged_save_is_an_error_that_names_the_file(tmp_path):
    loop(new_run(tmp_path))
    (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:100])
    with pytest.raises(CheckpointError, match=rf"{STATE} is damaged .*Delete it"):
        new_run(tmp_path)


def test_a_foreign_file_in_the_place_of_the_save_is_not_resumed(tmp_path):
    safetensors.torch.save_file({"a": torch.zeros(1)}, tmp_path / STATE)
    with pytest.raises(CheckpointError, match="another recipe, data or seed"):
        new_run(tmp_path)


def test_a_model_of_another_shape_is_not_resumed(tmp_path):
    loop(new_run(tmp_path))
    with pytest.raises(CheckpointError, match=r"(?s)another version of the model .*size mismatch"):
        Run(tmp_path, torch.nn.Linear(3, 1), "a", seed=0)


def test_what_a_killed_save_left_beside_it_is_removed(tmp_path):
    loop(new_run(tmp_path))
    left = tmp_path / f".{STATE}.4711.part"
    left.write_bytes(b"half")
    assert new_run(tmp_path).finished == ["first"]
    assert not left.exists()


def test_a_full_disk_leaves_the_last_save(tmp_path, monkeypatch):
    loop(new_run(tmp_path))

    def no_space(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(safetensors.torch, "save_file", no_space)
    with pytest.raises(CheckpointError, match=r"No space left.*unchanged.*Free some space"):
        loop(new_run(tmp_path), name="second")
    assert new_run(tmp_path).finished == ["first"]


def rates(optimisation):
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    for step in range(optimisation.steps):
        _set_rate(optimiser, optimisation, step)
        yield optimiser.param_groups[0]["lr"]


def test_the_rate_warms_up_stays_and_falls_to_a_fiftieth():
    found = list(rates(Optimisation(steps=1000, batch=1, learning_rate=2.0, warmup=10, decay_from=0.5)))
    assert found[:10] == pytest.approx([0.2 * (step + 1) for step in range(10)])
    assert set(found[10:501]) == {2.0}
    assert found[750] == pytest.approx(2.0 * (0.02 + 0.98 / 2))
    assert found[-1] == pytest.approx(0.04, abs=1e-3)
    assert found[501:] == sorted(found[501:], reverse=True)
