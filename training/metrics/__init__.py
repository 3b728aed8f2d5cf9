"""Figures of a model's quality, derived from its predictions, with confidence intervals."""

from training.metrics.figures import Figures, OodData, figures

__all__ = ["Figures", "OodData", "figures"]
