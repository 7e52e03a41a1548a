import json
import multiprocessing
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from telos.actor import CEM
from telos.cost import Trial
from telos.errors import TelosError
from telos.evaluation import Protocol, Safety, Target, clopper_pearson
from telos.evaluation.cells import Busy, Cells, in_turn
from telos.evaluation.oracle import Oracle
from telos.evaluation.safety import _Episode, _Found
from telos.files import Lock
from telos.types import Budget, Configuration

TINY = Protocol(
    targets=(Target(0.4, 6, 4), Target(0.3, 8, 4)),
    confidence=0.5,
    rounds=2,
    pilot=4,
    baseline=2,
    oracle=4,
    weights=(1.0,),
    batch=2,
    steps=40,
)


def plans(situation):
    return Configuration(CEM(candidates=32), horizon=8, budget=Budget(2), replan_every=8)


@pytest.fixture(scope="module")
def safety(tmp_path_factory):
    folder = tmp_path_factory.mktemp("safety")
    return Safety(Oracle(), plans, folder, protocol=TINY, command="a b")


@pytest.fixture(scope="module")
def found(safety):
    return json.loads(json.dumps(safety.run(), allow_nan=False))


def test_each_alpha_has_a_row_and_the_baselines_stand_beside_it(found):
    assert [row["alpha"] for row in found["alphas"]] == [0.4, 0.3]
    for row in found["alphas"]:
        assert row["n"] == 4
        assert row["violations"] == row["violated"] / 4
        assert row["interval"] == list(clopper_pearson(row["violated"], 4))
        assert row["calibration"]["n"] in (6, 8)
        assert row["buffer"] == max(row["calibration"]["held"], row["calibration"]["quantile"])
    assert [row["name"] for row in found["baselines"]] == [
        "no guardrail",
        "guardrail, buffer 0",
        "penalty, weight 1",
    ]


def test_success_is_compared_with_the_oracles_on_the_tasks_that_both_did(safety):
    def episodes(successes):
        trial = Trial(*torch.zeros(3, 5))
        return [_Episode(seed, bool(success), None, 0, 1, trial) for seed, success in enumerate(successes)]

    calibration = SimpleNamespace(buffer=0.0, holds=True, to_json=dict)
    found = _Found(calibration, episodes([1, 0, 1, 1, 1, 1]), None)
    row = safety._row(Target(0.01, 6, 6), found, episodes([1, 1, 1, 0]), episodes([1]))
    assert (row["n"], row["oracle_n"]) == (6, 4)
    assert row["share_of_oracle"] == pytest.approx(1.0)  # three of four each; of six, it were five


def test_the_same_planner_violates_less_with_a_guardrail_than_without(found):
    free, held = found["baselines"][0], found["baselines"][1]
    assert held["violations"] < free["violations"]


def test_calibration_and_test_tasks_are_apart(safety):
    names = [path.stem for path in safety.folder.glob("*.npz") if path.stem != "identity"]
    first = {int(name.split("-")[-2]) for name in names}
    assert {seed // 1_000_000 for seed in first} == {5, 6}


def test_a_second_run_does_nothing_again(safety, found, monkeypatch):
    monkeypatch.setattr(Safety, "_measure", lambda *_: pytest.fail("measured again"))
    assert json.loads(json.dumps(safety.run())) == found


def test_a_folder_of_another_evaluation_is_refused(safety, found):
    with pytest.raises(TelosError, match="another evaluation"):
        Safety(Oracle(), plans, safety.folder, protocol=Protocol()).run()


def test_a_cell_that_another_process_is_at_is_waited_for(tmp_path):
    cells, made = Cells(tmp_path, {}), []
    lock = Lock(tmp_path / "one.lock")

    def strand():
        for name in ("one", "two"):
            cells.make(name, name, lambda key: made.append(key) or {"key": key})
        return [cell["key"] for cell in cells.get(["one", "two"])]

    with pytest.raises(Busy):
        strand()
    assert made == ["two"]
    lock.release()
    assert in_turn([strand]) == [["one", "two"]]
    assert made == ["two", "one"]


def _work(folder, name):
    cells = Cells(folder, {})
    for number in range(6):
        cells.make(str(number), name, lambda key: time.sleep(0.05) or {"by": key})


def test_two_processes_share_the_work_and_do_none_twice(tmp_path):
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_work, args=(tmp_path, name)) for name in ("a", "b")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    in_turn([lambda: _work(tmp_path, "c") or Cells(tmp_path, {}).get([*map(str, range(6))])], pause=0.1)
    by = [cell["by"] for cell in Cells(tmp_path, {}).get([*map(str, range(6))])]
    assert set(by) <= {"a", "b", "c"}
    assert len(by) == 6


@pytest.mark.parametrize(("successes", "n"), [(0, 30), (3, 40), (40, 40), (11, 1000)])
def test_the_exact_interval_ends_where_the_tails_begin(successes, n):
    low, high = clopper_pearson(successes, n)
    random = np.random.default_rng(0)
    if successes:
        assert np.mean(random.binomial(n, low, 400_000) >= successes) == pytest.approx(0.025, abs=0.002)
    if successes < n:
        assert np.mean(random.binomial(n, high, 400_000) <= successes) == pytest.approx(0.025, abs=0.002)
