"""What every test runs under: one torch thread, and warnings are errors (pyproject.toml)."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "agg")

import pytest
import torch

from telos.model import Model

torch.set_num_threads(1)


@pytest.fixture
def single_precision(monkeypatch):
    """No matrix product in bf16, whatever the machine: for comparisons with a formula."""
    monkeypatch.setattr(Model, "precision", lambda self: torch.autocast("cpu", enabled=False))
