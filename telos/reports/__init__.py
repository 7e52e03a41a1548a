"""Reports: one HTML file that opens offline, and still figures. The only part of telos that draws."""

from telos.reports.figures import save_filmstrip, save_landscape
from telos.reports.inputs import Inputs, gather
from telos.reports.page import write_report

__all__ = ["Inputs", "gather", "save_filmstrip", "save_landscape", "write_report"]
