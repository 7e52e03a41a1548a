"""Memory that is freed is used again without the system's help."""

import contextlib
import ctypes
import resource
import sys
from pathlib import Path

import pytest
import torch

from telos.training.memory import kept_memory

GLIBC = sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt")
pytestmark = pytest.mark.skipif(not GLIBC, reason="only glibc can be told")
MEGABYTES = 200


def fill():
    """Page faults of making and dropping a large tensor."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(MEGABYTES * 2**18)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def held():
    """What the process holds, in MB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def test_what_is_freed_is_used_again_and_goes_back_at_the_end():
    before = held()
    with kept_memory():
        faults = [fill() for _ in range(5)]  # a hole that is only just large enough is not found at once
        inside = held()
    assert inside > before + MEGABYTES / 2
    assert faults[-1] < faults[0] / 10
    assert held() < before + MEGABYTES / 2


def test_it_ends_where_training_fails():
    before = held()
    with contextlib.suppress(ZeroDivisionError), kept_memory():
        fill()
        _ = 1 / 0
    assert held() < before + MEGABYTES / 2
