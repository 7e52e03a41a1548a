"""The training benchmark: what its object holds, and that its figures follow from each other."""

import json

import pytest
import torch

from benchmarks import training
from benchmarks.meter import StepMeter

TINY = training.Settings(
    recipe="smoke", episodes=64, steps=2, threads=(1,), matmul_size=64, matmul_seconds=0.06
)


@pytest.fixture(scope="module")
def result():
    return json.loads(json.dumps(training.measure(TINY)))


def test_the_object_says_what_was_measured_and_on_what(result):
    ours = result["threads_1"]["ours"]
    assert result["frames_per_cpu_second"] == ours["frames_per_cpu_second"] > 0
    assert ours["frames_per_step"] == 8 * 4  # windows of the recipe "smoke", of horizon + 1 frames
    assert ours["steps_timed"] == 2
    assert {"cpu", "cores", "torch", "load_average_1_minute"} <= result["machine"].keys()


def test_collecting_the_frames_only_adds_to_the_cost(result):
    ours = result["threads_1"]["ours"]
    assert 0 < ours["frames_per_cpu_second_with_collection"] < ours["frames_per_cpu_second"]


def test_the_share_of_the_floor_follows_from_the_figures_beside_it(result):
    ours, rates = result["threads_1"]["ours"], result["threads_1"]["matmul_flops_per_cpu_second"]
    assert set(rates) == ({"bf16", "fp32"} if result["machine"]["bf16_instructions"] else {"fp32"})
    for dtype, rate in rates.items():
        share = ours["flops_per_step"] / rate / ours["cpu_seconds_per_step"]
        assert ours[f"share_of_floor_{dtype}"] == pytest.approx(share, rel=0.01)


def test_the_meter_counts_the_flops_of_one_step():
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    meter = StepMeter(steps=2)
    ended = []
    for _ in range(3):
        left @ right
        ended.append(meter.tick())
    assert ended == [False, False, True]
    assert meter.flops == 2 * 3 * 5 * 7


def test_a_folder_that_is_no_checkout_of_the_peer_is_refused(tmp_path):
    with pytest.raises(ValueError, match="git clone"):
        training.measure(TINY, peer=tmp_path)


def test_more_steps_than_the_recipe_has_are_refused(tmp_path):
    with pytest.raises(ValueError, match="less than the 10"):
        training.ours(training.recipes.get("smoke"), None, tmp_path, steps=10, collecting=0.0)
