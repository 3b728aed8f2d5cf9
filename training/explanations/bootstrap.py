"""Bootstrap interval of a mean over N images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

RESAMPLES = 2_000
SEED = 0


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean and its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float


def mean(values: torch.Tensor) -> Mean:
    """Return the mean of (N,) values with its percentile bootstrap interval (Efron 1979, Ann. Statist. 7:1)."""
    samples = values.double().cpu().numpy()
    rows = np.random.default_rng(SEED).integers(len(samples), size=(RESAMPLES, len(samples)))
    low, high = np.percentile(samples[rows].mean(axis=1), (2.5, 97.5))
    return Mean(float(samples.mean()), float(low), float(high))
