from benchmarks.world import frames_per_cpu_second
from telos.worlds import make


def test_the_benchmark_measures_a_world():
    assert frames_per_cpu_second(make("telos/TwoRooms-v0", 64), steps=20) > 0
