"""Uncertainty of an answer: calibrated probabilities, prediction sets and OOD scores.

Fitting (training/uncertainty/) and serving compute these with the same functions, for a whole batch, in float64. The
remaining noise is that of the network's float32, whose last bits change with the batch. Values are rounded before they
are compared with a threshold.
"""

from handlers.uncertainty.estimator import DIGITS, UncertaintyError, UncertaintyEstimator, probabilities

__all__ = ["DIGITS", "UncertaintyError", "UncertaintyEstimator", "probabilities"]
