"""The command line: `telos collect`, `train`, `evaluate`, `plan`, `report`, `worlds`, `data`, `demo`."""

from telos.cli.main import main

__all__ = ["main"]
