"""The study of collapse: its methods learn by themselves, from the first update on."""

from dataclasses import replace

from benchmarks.collapse import METHODS, SHORT, measure


def test_a_curve_is_of_the_method_alone_from_the_first_update_on(tmp_path):
    setting = replace(SHORT, representation=40)
    found = measure(METHODS["BYOL, gradients into the target"], 0, setting, tmp_path / "data")
    assert found["step"][-1] == 40
    assert 0 < found["loss"][-1] < 1
    assert 0 < found["embedding_spread"][-1] < 1
