"""`torchrun -m telos train`: one clear message per process, and one process goes on with the run."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from telos.cli import main
from telos.model import Model
from tests.cli.test_cli_interrupt import SLOW, lines

LAUNCH = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # wherever the tests run; its children follow
from torch.distributed.run import main
main(["--standalone", "--nproc-per-node", "2", *sys.argv[1:]])
"""


def torchrun(*arguments):
    command = [sys.executable, "-c", LAUNCH, *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.getcwd()}  # noqa: PTH109
    return subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("torchrun") / "data"
    assert main(["collect", "--recipe", "smoke", "--out", str(folder)]) == 0
    return folder


@pytest.mark.slow
def test_ctrl_c_ends_all_processes_with_a_message_each_and_one_process_goes_on(data, tmp_path):
    script, out = tmp_path / "slow.py", tmp_path / "run"
    script.write_text(SLOW.replace("STEPS", "120"))
    arguments = ["train", "--recipe", "slow", "--data", str(data), "--out", str(out)]
    running = torchrun(script, *arguments)
    deadline = time.monotonic() + 300
    while not lines(out / "metrics.jsonl") and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said = running.communicate(timeout=120)[1]
    assert said.count("Interrupted. Training is saved in") == 2, said
    assert not (out / "model").exists()
    again = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, timeout=300)
    assert again.returncode == 0, again.stderr
    assert Model.load(out / "model").readouts["agent_xy"].labels > 0
    rows = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if row["stage"] == "representation"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 120


def test_a_wrong_batch_is_one_error_in_each_process_and_nothing_is_written(data, tmp_path):
    script = tmp_path / "odd.py"
    script.write_text(SLOW.replace("steps=STEPS", "batch=9"))
    arguments = ["train", "--recipe", "slow", "--data", str(data), "--out", str(tmp_path / "run")]
    out, said = torchrun(script, *arguments).communicate(timeout=120)
    assert said.count("error: representation.optimisation.batch is of all processes together") == 2, said
    assert "telos/training" not in said  # no traceback of ours
    assert out == ""
    assert not (tmp_path / "run").exists()


def test_a_service_that_is_not_there_is_said_by_name(data, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "trackio", None)
    arguments = ["--recipe", "smoke", "--data", str(data), "--out", str(tmp_path / "run")]
    assert main(["train", *arguments, "--log", "trackio"]) == 1
    assert "pip install 'telos[trackio]'" in capsys.readouterr().err.replace("\n", " ")


def test_micro_batches_device_and_sharding_are_dials(data, tmp_path, capsys):
    arguments = ["--recipe", "smoke", "--data", str(data), "--out", str(tmp_path / "run")]
    dials = ["--micro-batches", "2", "--device", "cpu", "--sharding", "none"]
    assert main(["train", *arguments, *dials]) == 0
    assert main(["train", *arguments, "--micro-batches", "0"]) == 1
    assert "micro_batches must be at least 1; got 0" in capsys.readouterr().err
