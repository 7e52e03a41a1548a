"""Counts what training steps cost: CPU-seconds of the timed ones, FLOPs of the first."""

from __future__ import annotations

import contextlib
import gc
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


def cpu_seconds() -> float:
    """User and system time of this process, all threads: as `os.times` has it, in finer steps."""
    return time.process_time()


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


def _attention(query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(query, key, value)


def _attention_backward(
    gradient: Tensor, query: Tensor, key: Tensor, value: Tensor, *_: Any, **__: Any
) -> int:
    return sdpa_backward_flop_count(gradient, query, key, value)


FUSED = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
"""Attention on a CPU, which torch's own counter does not count."""


class StepMeter:
    """Begin when training is about to begin, and `tick` after each of its steps.

    The first step's FLOPs are counted (counting is slow, so it is also the warm-up); the `steps` after it
    are timed. What a step does within `loading` is its data, and not part of the step alone.
    """

    def __init__(self, *, steps: int) -> None:
        self.steps, self.flops = steps, 0
        self.cpu: list[float] = []
        self.data: list[float] = []
        self._counter: FlopCounterMode | None = FlopCounterMode(display=False, custom_mapping=FUSED)
        self._counter.__enter__()
        self._last, self._loading = 0.0, 0.0

    @contextlib.contextmanager
    def loading(self) -> Iterator[None]:
        """Within it the step waits for its data."""
        start = cpu_seconds()
        yield
        self._loading += cpu_seconds() - start

    def tick(self) -> bool:
        """One step has ended. True when all were measured."""
        now = cpu_seconds()
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            self.flops = self._counter.get_total_flops()
            self._counter = None
        else:
            self.cpu.append(now - self._last)
            self.data.append(self._loading)
        self._last, self._loading = cpu_seconds(), 0.0
        return len(self.cpu) == self.steps

    def result(self, *, frames: int) -> dict[str, Any]:
        """What was measured, where one step trains on `frames` frames."""
        return {
            "cpu_seconds": self.cpu,
            "data_cpu_seconds": self.data,
            "frames_per_step": frames,
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
