"""Ctrl-C in the middle leaves nothing broken, and the same command continues."""

import json
import signal
import subprocess
import sys
import time

from safetensors import safe_open

from telos.cli import main
from telos.data import EpisodeStore
from telos.model import Model

SLOW = """
import dataclasses, sys, time
from telos import recipes
from telos.cli import main

def slow():
    smoke = recipes.smoke()
    first = dataclasses.replace(smoke.representation.optimisation, steps=STEPS)
    return dataclasses.replace(
        smoke, name="slow", representation=dataclasses.replace(smoke.representation, optimisation=first)
    )

recipes.RECIPES["slow"] = slow
sys.exit(main(sys.argv[1:]))
"""


def start(*arguments, code="import sys; from telos.cli import main; sys.exit(main(sys.argv[1:]))"):
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def interrupt(process, ready):
    """Ctrl-C once `ready()`, and what was said."""
    deadline = time.monotonic() + 300
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()[1]
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 130, said
    assert "Traceback" not in said
    return said


def lines(path):
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_ctrl_c_while_collecting_keeps_the_episodes_and_the_command_continues(tmp_path):
    arguments = ["collect", "--recipe", "smoke", "--length", 20, "--out", tmp_path / "data", "--episodes"]
    said = interrupt(start(*arguments, 10**6), lambda: lines(tmp_path / "data" / "index.jsonl") > 20)
    assert "the same command continues" in said
    before = len(EpisodeStore.open(tmp_path / "data"))
    assert main([*map(str, arguments), str(before + 2)]) == 0
    store = EpisodeStore.open(tmp_path / "data")
    store.verify()
    assert len(store) == before + 2


def test_ctrl_c_while_training_leaves_a_run_that_continues(tmp_path):
    assert main(["collect", "--recipe", "smoke", "--out", str(tmp_path / "data")]) == 0
    arguments = ["train", "--recipe", "slow", "--data", tmp_path / "data", "--out", tmp_path]
    code = SLOW.replace("STEPS", "400")
    said = interrupt(start(*arguments, code=code), lambda: lines(tmp_path / "metrics.jsonl") > 0)
    assert "the same command continues" in said
    assert not (tmp_path / "model").exists()
    with safe_open(tmp_path / "trainer.safetensors", framework="pt") as kept:
        reached = int(kept.metadata()["step"])  # long before a save is due
    assert 20 * lines(tmp_path / "metrics.jsonl") <= reached < 20 * lines(tmp_path / "metrics.jsonl") + 20
    again = start(*arguments, code=code)
    assert again.wait(timeout=300) == 0, again.communicate()[1]
    again.communicate()
    assert Model.load(tmp_path / "model").readouts["agent_xy"].labels > 0
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    steps = [row["step"] for row in rows if row["stage"] == "representation"]
    assert steps == sorted(set(steps))
    assert steps[-1] == 400
