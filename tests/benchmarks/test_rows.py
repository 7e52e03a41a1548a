"""Rows: measured once, kept at once, shared by processes, and never mixed with another configuration's."""

import json
from multiprocessing import get_context

import pytest

from benchmarks.meter import machine
from benchmarks.rows import Rows


def rows_at(folder, setting=1):
    header = {"command": "x", "configuration": {"setting": setting}}
    return Rows(folder / "result.json", ("method", "seed"), header, folder / "locks")


def test_a_row_is_measured_once_and_kept_beside_its_configuration(tmp_path):
    calls = []

    def measure():
        calls.append(1)
        return {"probe": 0.5}

    assert rows_at(tmp_path).add(("a", 0), measure) == {"method": "a", "seed": 0, "probe": 0.5}
    assert rows_at(tmp_path).add(("a", 0), measure) is None
    assert len(calls) == 1
    stored = json.loads((tmp_path / "result.json").read_text())
    assert stored["configuration"] == {"setting": 1}
    assert stored["rows"] == [{"method": "a", "seed": 0, "probe": 0.5}]


def test_rows_of_another_configuration_are_left_as_they_are(tmp_path):
    rows_at(tmp_path).add(("a", 0), dict)
    before = (tmp_path / "result.json").read_bytes()
    with pytest.raises(SystemExit, match="another configuration"):
        rows_at(tmp_path, setting=2)
    assert (tmp_path / "result.json").read_bytes() == before


def test_what_failed_is_measured_again(tmp_path):
    def fail():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rows_at(tmp_path).add(("a", 0), fail)
    assert rows_at(tmp_path).add(("a", 0), dict) == {"method": "a", "seed": 0}


def _work(folder, done):
    rows = rows_at(folder)
    for seed in range(20):
        if rows.add(("a", seed), dict) is not None:
            done.put(seed)


def test_two_processes_share_the_work_and_lose_no_row(tmp_path):
    context = get_context("spawn")
    done = context.SimpleQueue()
    processes = [context.Process(target=_work, args=(tmp_path, done)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(done.get() for _ in range(20)) == list(range(20))
    assert len(json.loads((tmp_path / "result.json").read_text())["rows"]) == 20


def test_a_row_of_another_machine_says_so(tmp_path):
    elsewhere = {**machine(), "cpu": "another"}
    header = {"configuration": {}, "machine": elsewhere}
    rows = Rows(tmp_path / "result.json", ("method",), header, tmp_path / "locks")
    assert rows.add(("a",), dict)["machine"]["cpu"] == machine()["cpu"]
    same = Rows(tmp_path / "same.json", ("method",), {**header, "machine": machine()}, tmp_path / "locks")
    assert "machine" not in same.add(("a",), dict)
