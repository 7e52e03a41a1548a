"""Counts what training steps cost: CPU-seconds of the timed ones, FLOPs of the first."""

from __future__ import annotations

import gc
import os
import platform
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode


def cpu_seconds() -> float:
    """User and system time of this process, all threads."""
    times = os.times()
    return times.user + times.system


class Memory:
    """The resident memory of this process from when it is made: how far its peak rises.

    The kernel's record of the peak is set back to the present (Linux only), so that what was needed
    before, for importing and loading, does not hide what is needed from here on.
    """

    def __init__(self) -> None:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        self.before = self._read("VmRSS")

    def result(self) -> dict[str, float]:
        """MiB: resident at the beginning, the peak since, and the difference."""
        peak = self._read("VmHWM")
        rise = round(peak - self.before, 1)
        return {"memory_mib": self.before, "peak_memory_mib": peak, "peak_rise_mib": rise}

    @staticmethod
    def _read(name: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        (line,) = (line for line in lines if line.startswith(name))
        return round(int(line.split()[1]) / 1024, 1)


class Enough(Exception):  # noqa: N818 - not an error
    """All steps were measured: how to leave a training loop."""


class StepMeter:
    """Begin when training is about to begin, and `tick` after each of its steps.

    The first step's FLOPs are counted (counting is slow, so it is also the warm-up); the `steps` after it
    are timed.
    """

    def __init__(self, *, steps: int) -> None:
        self.steps, self.flops = steps, 0
        self.cpu: list[float] = []
        self._counter: FlopCounterMode | None = FlopCounterMode(display=False)
        self._counter.__enter__()
        self._last = 0.0

    def tick(self) -> bool:
        """One step has ended. True when all were measured."""
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops = self._counter.get_total_flops()
            self._counter = None
        else:
            self.cpu.append(cpu_seconds() - self._last)
        self._last = cpu_seconds()
        return len(self.cpu) == self.steps

    def result(self, *, frames: int) -> dict[str, float]:
        """The figures, where one step trains on `frames` frames."""
        mean = sum(self.cpu) / len(self.cpu)
        return {
            "frames_per_cpu_second": frames / mean,
            "cpu_seconds_per_step": mean,
            "cpu_seconds_of_fastest_step": min(self.cpu),
            "cpu_seconds_of_slowest_step": max(self.cpu),
            "steps_timed": len(self.cpu),
            "frames_per_step": frames,
            "flops_per_frame": self.flops / frames,
            "flops_per_step": self.flops,
        }


def matmul_rates(*, size: int, seconds: float) -> dict[str, float]:
    """FLOPs per CPU-second of square matrix products, all threads, by dtype: the best of 3 rounds.

    bf16 only where the CPU has instructions for it: one emulated product can take minutes.
    """
    rates = {}
    dtypes = {"bf16": torch.bfloat16} if machine()["bf16_instructions"] else {}
    for name, dtype in {**dtypes, "fp32": torch.float32}.items():
        left, right = torch.ones(2, size, size).to(dtype)
        torch.mm(left, right)
        rounds = []
        for _ in range(3):
            start, count = cpu_seconds(), 0
            while (used := cpu_seconds() - start) < seconds / 3:
                torch.mm(left, right)
                count += 1
            rounds.append(2 * size**3 * count / used)
        rates[name] = max(rounds)
    return rates


def machine() -> dict[str, object]:
    """What the figures were measured on, and how busy it was with other work."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    flags = " ".join(line for line in lines[:200] if line.startswith("flags")).split()
    load = os.getloadavg()
    return {
        "cpu": named[0] if named else platform.processor(),
        "cores": os.cpu_count(),
        "bf16_instructions": sorted({flag for flag in flags if flag in ("avx512_bf16", "amx_bf16")}),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "load_average_1_minute": round(load[0], 2),
    }
