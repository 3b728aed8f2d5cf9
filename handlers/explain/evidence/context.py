"""The prediction for an image, as input of its explanation."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from handlers.decision import Uncertainty


@dataclass(frozen=True, slots=True)
class PredictionContext:
    """The prediction for one image.

    Attributes:
        predicted: index of the most probable class.
        probabilities: calibrated probabilities, float64 (classes,).
        raw: probabilities without temperature scaling, float64 (classes,).
        embedding: input of the classification head, (D,).
        uncertainty: None if the card has none.
    """

    predicted: int
    probabilities: torch.Tensor
    raw: torch.Tensor
    embedding: torch.Tensor
    uncertainty: Uncertainty | None
