"""Prediction sets: the classes whose score is at most the card's threshold; see models.card.Conformal."""

from __future__ import annotations

from functools import lru_cache

import torch

from handlers.uncertainty.estimator import DIGITS
from models.card import Conformal


def set_scores(ranked: torch.Tensor, conformal: Conformal) -> torch.Tensor:
    """Return the score of each class, float64 (N, classes): 0 for the most probable one, and rising from there.

    Args:
        ranked: the probabilities of each row, (N, classes), most probable first.
    """
    if conformal.method == "lac":
        scores = 1 - ranked
        scores[:, 0] = 0
    else:
        scores = ranked.cumsum(dim=1).sub_(ranked)
        scores.add_(_penalties(ranked.shape[1], conformal.penalty, conformal.free, ranked.device))
    return scores.round_(decimals=DIGITS)


def membership(ranked: torch.Tensor, order: torch.Tensor, conformal: Conformal) -> torch.Tensor:
    """Return which classes are in each row's prediction set, bool (N, classes), most probable first.

    Args:
        ranked: as in `set_scores`.
        order: index of each of these classes, int64 (N, classes).
    """
    scores = set_scores(ranked, conformal)
    if len(conformal.thresholds) == 1:
        return scores <= conformal.thresholds[0]
    return scores <= torch.tensor(conformal.thresholds, device=order.device, dtype=torch.float64)[order]


@lru_cache(maxsize=16)
def _penalties(classes: int, penalty: float, free: int, device: torch.device) -> torch.Tensor:
    """Return the penalty of each rank, float64 (classes,); 0 for the first."""
    ranks = torch.arange(1, classes + 1, device=device, dtype=torch.float64)
    penalties = penalty * (ranks - free).clamp(min=0)
    penalties[0] = 0
    return penalties
