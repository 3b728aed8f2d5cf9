"""The report of a release: figures, pictures and a page to read."""

from training.report.report import Report
from training.report.writing import write

__all__ = ["Report", "write"]
