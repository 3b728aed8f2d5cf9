"""Figures of a model's quality, derived from its predictions, with confidence intervals."""

from training.metrics.figures import Figures, figures
from training.metrics.ood_detection import OodData

__all__ = ["Figures", "OodData", "figures"]
