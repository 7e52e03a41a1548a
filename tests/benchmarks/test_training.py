"""The training benchmark: that its figures follow from what was measured, and that shapes are the peers'."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from benchmarks import training, training_step
from benchmarks.meter import StepMeter
from benchmarks.training_shapes import shapes
from telos.model import Model, ModelConfig
from telos.types import ActionSpace

RATES = {"bf16": 4e9, "fp32": 1e9}


def cell(*cpu, data=0.5, **more):
    return {
        "cpu_seconds": list(cpu),
        "data_cpu_seconds": [data] * len(cpu),
        "frames_per_step": 6,
        "flops_per_step": 10**9,
        "parameters": 7,
        "packages": {},
        **more,
    }


def test_figures_are_of_the_median_step_of_all_rounds():
    found = training.figures([cell(1.5, 9.5), cell(2.5)], RATES, "bf16")
    assert found["frames_per_cpu_second"] == 6 / 2.0
    assert found["frames_per_cpu_second_fastest"] == 6 / 1.0
    assert found["frames_per_cpu_second_with_data"] == 6 / 2.5
    assert found["share_of_floor"] == 1e9 / 4e9 / 2.0


def test_collecting_the_frames_adds_its_part_to_each():
    found = training.figures([cell(2.5, collecting_cpu_seconds_per_frame=0.25)], RATES, "fp32")
    assert found["frames_per_cpu_second_with_collection"] == pytest.approx(1 / (2.5 / 6 + 0.25))


def test_telos_default_is_compared_with_the_peers_own_precision_and_with_its_faster_one():
    seconds = {"ours_bf16": 1.5, "ours_fp32": 2.5, "peer_bf16": 4.5, "peer_fp32": 3.5}
    cells = {part: [cell(value)] for part, value in seconds.items()}
    told = training.compared(cells, shapes()["eb_jepa"], RATES)
    assert (told["ours"], told["peer"]) == ("ours_bf16", "peer_bf16")
    assert told["ratio"] == pytest.approx(4.0)
    assert told["ratio_to_the_peers_faster_precision"] == pytest.approx(3.0)
    assert (told["ratio_bf16"], told["ratio_fp32"]) == pytest.approx((4.0, 1.5))
    assert told["ratio_with_data"] == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("eb_jepa", 2_547_378),
        ("torch_world", 4_192_116),
        ("torch_world_192", 15_247_494),
        ("stable_worldmodel", 17_921_582),
    ],
)
def test_a_shape_has_the_size_of_the_peers_model(name, parameters):
    """Within three per cent of what its own model has."""
    shape = shapes()[name]
    parts = shape.recipe.architecture
    space = ActionSpace((-1.0, -1.0), (1.0, 1.0), block=parts.block, held=parts.held)
    config = ModelConfig(
        "w",
        shape.frame_shape,
        space,
        perception=parts.perception,
        predictor=parts.predictor,
        recovered=parts.recovered,
    )
    found = sum(value.numel() for value in Model(config).parameters())
    assert found == pytest.approx(parameters, rel=0.03)


def test_steps_of_training_are_measured_with_their_data():
    found = training_step.measure("smoke", steps=2, precision="fp32", batch=None, episodes=64)
    assert found["frames_per_step"] == 8 * 4  # windows of the recipe "smoke", of horizon + 1 frames
    assert len(found["cpu_seconds"]) == 2
    for whole, data in zip(found["cpu_seconds"], found["data_cpu_seconds"], strict=True):
        assert 0 < data < whole
    assert found["flops_per_step"] > 1e6
    assert found["collecting_cpu_seconds_per_frame"] > 0


def test_more_steps_than_the_recipe_has_are_refused():
    with pytest.raises(ValueError, match="less than the 10"):
        training_step.measure("smoke", steps=10, precision="fp32", batch=None, episodes=64)


def test_a_cell_that_is_there_is_not_measured_again(tmp_path):
    printing = training.Cell("one", (sys.executable, "-c", "print('busy'); print('{\"a\": 1}')"))
    assert printing.read(tmp_path) == {"a": 1}
    broken = replace(printing, command=(sys.executable, "-c", "raise SystemExit('no such package')"))
    assert broken.read(tmp_path) == {"a": 1}
    with pytest.raises(RuntimeError, match="no such package"):
        broken.read(tmp_path / "..")


def test_the_meter_counts_the_flops_of_one_step_and_keeps_its_data_apart():
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    meter = StepMeter(steps=2)
    ended = []
    for _ in range(3):
        with meter.loading():
            sum(range(200_000))
        left @ right
        ended.append(meter.tick())
    assert ended == [False, False, True]
    assert meter.flops == 2 * 3 * 5 * 7
    assert all(0.5 * whole < data <= whole for whole, data in zip(meter.cpu, meter.data, strict=True))


def test_the_meter_counts_fused_attention():
    tokens = torch.ones(2, 3, 5, 4)
    meter = StepMeter(steps=1)
    torch.nn.functional.scaled_dot_product_attention(tokens, tokens, tokens)
    meter.tick()
    assert meter.flops == 2 * (2 * 2 * 3 * 5 * 5 * 4)


def test_without_quick_and_peers_it_says_what_to_give():
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.training"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "--eb-jepa" in done.stderr


def test_a_result_is_made_of_cells_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(training.Cell, "read", lambda self, folder: cell(1.5, batch=4, precision="fp32"))
    monkeypatch.setattr(training, "_measure_rates", lambda *_: None)
    monkeypatch.setattr(training, "_rates", lambda *_: RATES)
    peers = {"torch_world": ["python"]}
    found = json.loads(json.dumps(training.measure(training.QUICK, peers, tmp_path, quick=False)))
    assert set(found["shapes"]) == {"torch_world", "torch_world_192"}
    assert found["shapes"]["torch_world"]["threads_1"]["ratio"] == 1.0
    assert found["recipes"]["rooms"]["threads_1"]["frames_per_cpu_second"] == 6.0
