"""The report of a release: what was measured, as figures, pictures and a page to read."""

from training.report.figures import Figures, figures
from training.report.report import OodData, Report
from training.report.writing import write

__all__ = ["Figures", "OodData", "Report", "figures", "write"]
