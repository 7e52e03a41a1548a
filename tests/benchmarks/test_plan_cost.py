"""What a plan costs is the mean over the plans of whole episodes."""

import json
import sys

from benchmarks import plan_cost


def test_quick_measures_both_sizes_and_stores_nothing(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(plan_cost, "RESULT", tmp_path / "plan_cost.json")
    monkeypatch.setattr(plan_cost, "QUICK", ((1, 1), (2, 2)))
    monkeypatch.setattr(sys, "argv", ["plan_cost", "--quick"])
    plan_cost.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    one, two = result["threads_1"]
    assert (one["batch"], two["batch"], two["episodes"]) == (1, 2, 2)
    assert two["plans"] == 2 * one["plans"] == 100  # 200 steps, planned anew every four
    assert one["evaluations_per_plan"] > 100
    assert 0 < one["cpu_seconds_per_plan"] < 10
    assert not (tmp_path / "plan_cost.json").exists()
