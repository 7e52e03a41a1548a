import json
import math

import numpy as np
import pytest

from telos.errors import TelosError
from telos.evaluation import Evaluation, Floor, ImaginedPlan, Planning, Recording, TaskRow, Zone, pool

REQUIRED = {
    "command",
    "config",
    "n",
    "success",
    "interval",
    "noop",
    "random",
    "evaluations_per_plan",
    "cpu_seconds_per_plan",
}


def row(seed, success=True, **changes):
    return TaskRow(seed=seed, layout=3, success=success, first_touch=5 if success else None, **changes)


def recording(seed=1):
    frames = np.zeros((3, 8, 8, 3), np.uint8)
    plan = ImaginedPlan(0, 4, "solved", False, 0.5, None, np.array([2.0, 1.0]), {"xy": np.ones((2, 2))}, None)
    zone = Zone("xy", (0.0, 1.0, 0.0, 1.0), np.ones((4, 4)))
    path = {"xy": np.zeros((3, 2))}
    return Recording(
        seed, True, "", frames, frames[0], path, {"xy": np.ones(2)}, {"xy": "m"}, 2, (zone,), (plan,)
    )


def sample(**changes):
    fields = {
        "world": "w",
        "rows": (row(1), row(2, False, reason="stuck", violation=0.5, violated_steps=2, predicted=0.1)),
        "rows_without": (row(1, violation=-1.0), row(2, violation=2.0, violated_steps=4)),
        "planning": Planning(plans=10, evaluations=5000, cpu_seconds=2.0, episodes=2, batch=2),
        "floors": (
            Floor("no-op", "nothing", 2, 0, 0),
            Floor("random", "u", 2, 0, 1),
            Floor("exploration", "p", 2, 1, 1),
        ),
        "guardrail": "across",
        "config": {"seed": 1},
        "recordings": (recording(),),
    }
    return Evaluation(**fields | changes)


def test_the_json_has_what_the_results_table_reads():
    value = json.loads(json.dumps(sample().to_json(), allow_nan=False))
    assert value.keys() >= REQUIRED | {"violations", "violations_without", "success_without"}
    assert (value["success"], value["violations"], value["violations_without"]) == (0.5, 0.5, 0.5)
    assert (value["evaluations_per_plan"], value["cpu_seconds_per_plan"]) == (500, 0.2)
    assert value["steps_to_goal"] == 5


def test_random_is_the_better_of_the_policies_that_act_at_random():
    value = sample().to_json()
    assert (value["noop"], value["random"], value["random_policy"]) == (0.0, 0.5, "p")


def test_json_goes_there_and_back():
    evaluation = sample()
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation


def test_a_folder_keeps_the_recordings(tmp_path):
    sample().save(tmp_path / "e")
    loaded = Evaluation.load(tmp_path / "e")
    assert loaded == sample()
    (kept,) = loaded.recordings
    np.testing.assert_array_equal(kept.plans[0].trace, [2.0, 1.0])
    assert kept.zones[0].extent == (0.0, 1.0, 0.0, 1.0)
    assert kept.plans[0].frames is None
    assert kept.first_touch == 2


def test_a_damaged_folder_says_what_to_do(tmp_path):
    sample().save(tmp_path / "e")
    (tmp_path / "e" / "recordings.npz").write_bytes(b"PK nonsense")
    with pytest.raises(TelosError, match="Evaluate again"):
        Evaluation.load(tmp_path / "e")
    with pytest.raises(TelosError, match="not an evaluation of version"):
        Evaluation.from_json({"format": "other"})


def test_a_results_file_has_one_line_per_task(tmp_path):
    sample().write(tmp_path / "two_rooms.json")
    lines = (tmp_path / "two_rooms.json").read_text().splitlines()
    assert sum('"seed": ' in line and '"layout"' in line for line in lines) == 4


def test_pooling_adds_rows_costs_and_floors():
    other = sample(rows=(row(3), row(4), row(5)), config={"seed": 3})
    both = pool([sample(), other])
    assert (both.n, both.success) == (5, 0.8)
    assert both.planning == Planning(plans=20, evaluations=10000, cpu_seconds=4.0, episodes=4, batch=2)
    assert both.floors[2] == Floor("exploration", "p", 4, 2, 2)
    assert [part["n"] for part in both.config["pooled"]] == [2, 3]


def test_pooling_refuses_different_worlds():
    with pytest.raises(ValueError, match="must be of one world; got v, w"):
        pool([sample(), sample(world="v")])


def test_numbers_that_are_not_finite_become_null():
    value = sample(rows=(row(1, predicted=-math.inf),)).to_json()
    assert value["rows"][0]["predicted"] is None
