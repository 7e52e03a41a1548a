"""The benchmark of several processes: its rows say what was run, and hold what the page has of them."""

from benchmarks import scale
from telos.training import Compute


def test_a_row_has_its_case_and_the_cost_of_every_stage_it_ran():
    case = scale.Case("smoke", 2, Compute("cpu", micro_batches=2), "prediction", 20)
    (row,) = scale.measure([case], episodes=32)["rows"]
    assert (row["recipe"], row["processes"], row["micro_batches"]) == ("smoke", 2, 2)
    assert list(row["stages"]) == ["representation", "prediction"]
    for cost in row["stages"].values():
        assert cost["seconds_per_step"] > 0
        assert cost["cpu_seconds_per_step"] > 0
    assert row["mib_of_a_process"] > 50
