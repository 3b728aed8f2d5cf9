"""How far a mean over N images may be from that over all images there are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

DRAWS = 2_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean, and its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float


def mean(values: torch.Tensor) -> Mean:
    """Of (N,), with the percentile interval of DRAWS seeded bootstrap samples (Efron 1979, Ann. Statist. 7:1)."""
    found = values.double().cpu().numpy()
    rows = np.random.default_rng(SEED).integers(len(found), size=(DRAWS, len(found)))
    low, high = np.percentile(found[rows].mean(axis=1), (2.5, 97.5))
    return Mean(float(found.mean()), float(low), float(high))
