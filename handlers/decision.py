"""Logits -> what is answered: the most probable classes with their probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

# Digits after the point. Batch size changes the last bits of float32; six digits do not show it.
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Ranking:
    """All classes of a batch of N images, most probable first: indices and probabilities, each (N, classes)."""

    indices: list[list[int]]
    probabilities: list[list[float]]


def rank(logits: torch.Tensor) -> Ranking:
    """Order the classes of each row of logits (N, classes) by softmax probability."""
    probabilities, indices = logits.softmax(dim=1).sort(dim=1, descending=True, stable=True)
    return Ranking(indices.tolist(), probabilities.tolist())


def predictions(ranking: Ranking, row: int, classes: Sequence[str], top_k: int) -> list[dict[str, Any]]:
    """The answer's `predictions` for one image: at most `top_k` classes, most probable first."""
    pairs = zip(ranking.indices[row][:top_k], ranking.probabilities[row][:top_k], strict=True)
    return [{"label": classes[i], "index": i, "probability": round(p, DIGITS)} for i, p in pairs]
