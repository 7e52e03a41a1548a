"""The study of six numbers: what its table and its figure make of rows."""

import numpy as np
import pytest

from benchmarks import sections
from benchmarks.figures import six_numbers as draw
from benchmarks.orbit_measures import NUMBERS, bootstrap
from benchmarks.six_numbers import QUICK, cells, summary

HORIZON = list(range(0, 101, 4))


def row(method, *, size=6, seed=0, world="all", r2=0.5, error=1.0):
    path = np.random.default_rng(seed).normal(size=(2, len(HORIZON), 3)).tolist()
    return {
        "method": method, "kind": "jepa", "world": world, "size": size, "seed": seed,
        "r2": dict.fromkeys(NUMBERS, r2), "mean_r2": r2, "effective_rank": 3.0, "spectrum": [0.6, 0.4],
        "horizon": HORIZON, "error": [error * step / 100 for step in HORIZON],
        "orbits_100": [error, error, 3 * error], "cpu_seconds_of_training": 2.0,
        "foreseen": path, "came": path,
    }  # fmt: skip


@pytest.fixture
def result():
    rows = [row("variance-covariance", r2=0.9, error=0.4), row("next frame", r2=0.7, error=0.8)]
    rows += [row("variance-covariance", seed=1, r2=0.8, error=0.6), row("variance-covariance", size=2)]
    rows += [row("next frame", world="none", r2=0.75)]
    floors = {"error": {"stays": HORIZON, "mean place": HORIZON}, "probes": {"pixels": {"mean_r2": 0.25}}}
    told = {"configuration": {"setting": {"size": 6}}, "rows": rows, "floors": floors, "command": "made"}
    return {**told, "methods": summary(rows, QUICK)}


def test_the_summary_puts_seeds_together_and_leaves_other_sizes_and_worlds_out(result):
    main, pixels = result["methods"]
    assert (main["method"], main["seeds"], pixels["seeds"]) == ("variance-covariance", 2, 1)
    assert main["mean_r2"] == pytest.approx(0.85)
    assert main["mean_r2_worst_seed"] == pytest.approx(0.8)
    assert main["error_100"] == pytest.approx(0.5)


def test_the_table_tells_each_method_size_and_world(result):
    text = sections.six_numbers(result)
    assert "| variance-covariance | jepa | 0.850 |" in text
    assert "| 6 | 0.850 | 0.10 | 0.50 | 0.700 | 0.16 | 0.80 |" in text
    assert "| 2 | 0.500 | 0.20 | 1.00 |  |  |  |" in text
    assert "| none |  |  |  | 0.750 | 0.20 | 1.00 |" in text
    assert "pixels 0.25" in text


def test_the_figure_is_drawn_of_what_there_is(result, tmp_path):
    draw(result, tmp_path / "six.png")
    assert (tmp_path / "six.png").stat().st_size > 20_000


def test_every_cell_is_asked_for_once_in_its_part():
    for keys in cells(QUICK).values():
        assert len(set(keys)) == len(keys)


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    values = np.random.default_rng(1).normal(2.0, 1.0, 400)
    low, high = bootstrap(values, np.mean)
    half = 1.96 * values.std() / 20
    assert low == pytest.approx(values.mean() - half, abs=0.02)
    assert high == pytest.approx(values.mean() + half, abs=0.02)
