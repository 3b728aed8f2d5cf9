"""Comparison of two releases on the same images, with tests of significance."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from scipy.stats import binomtest

from training.evaluate import Evaluation

# Significance level: chance alone exceeds a significant difference in less than 5 of 100 test sets.
ALPHA = 0.05
RESAMPLES = 10_000
# Quantiles of the normal distribution at 97.5 % and 80 %: two-sided significance, and power.
Z_ALPHA, Z_POWER = 1.959963984540054, 0.8416212335729143
# The smallest difference in accuracy of interest: one percentage point.
POINT = 0.01


@dataclass(frozen=True, slots=True)
class Difference:
    """B minus A, and its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two releases on the same N images.

    Attributes:
        only_a: indices of the images that only A classifies correctly; only_b: those of B.
        p_value: p-value of the exact McNemar test.
        accuracy: difference in accuracy; above 0 if B is better.
        loss: difference in mean negative log-likelihood, in nats; below 0 if B's probabilities are better.
        needed: approximate number of images that detect a difference in accuracy of one point.
    """

    a: Evaluation
    b: Evaluation
    only_a: tuple[int, ...]
    only_b: tuple[int, ...]
    p_value: float
    accuracy: Difference
    loss: Difference
    needed: int

    @property
    def images(self) -> int:
        """N."""
        return len(self.a)

    @property
    def verdict(self) -> str:
        """Verdict of the test of accuracy."""
        if self.p_value < ALPHA:
            return "B is better" if self.accuracy.value > 0 else "B is worse"
        return (
            "no difference that this test set can show (it would take about "
            f"{self.needed:,} images to show one of 1 point)"
        )

    @property
    def verdict_on_probabilities(self) -> str:
        """Verdict of the interval of the loss."""
        if self.loss.low <= 0 <= self.loss.high:
            return "no difference that this test set can show"
        return "B's are better" if self.loss.value < 0 else "B's are worse"


def compare(a: Evaluation, b: Evaluation, seed: int = 0) -> Comparison:
    """Compare the predictions of two releases for the same images in the same order.

    Accuracy is compared by the exact McNemar test (1947, Psychometrika 12:153). If both are equally good, each is the
    only correct one for about half of the images that exactly one of them classifies correctly. Intervals come from
    a paired percentile bootstrap (Efron 1979, Annals of Statistics 7:1).

    Raises:
        ValueError: the images are not the same, as their number or labels show.
    """
    labels_a, labels_b = ([each.card.classes[label] for label in each.labels.tolist()] for each in (a, b))
    if labels_a != labels_b:
        raise ValueError("the two releases answered different images: let both answer the same split")
    right_a, right_b = a.right.numpy(), b.right.numpy()
    only_a, only_b = np.flatnonzero(right_a & ~right_b), np.flatnonzero(right_b & ~right_a)
    gains = np.stack([right_b.astype(float) - right_a, b.losses.numpy() - a.losses.numpy()])
    accuracy, loss = _differences(gains, seed)
    return Comparison(
        a=a,
        b=b,
        only_a=tuple(only_a.tolist()),
        only_b=tuple(only_b.tolist()),
        p_value=mcnemar(len(only_a), len(only_b)),
        accuracy=accuracy,
        loss=loss,
        needed=images_needed((len(only_a) + len(only_b)) / len(a)),
    )


def mcnemar(only_a: int, only_b: int) -> float:
    """Return the p-value of the exact McNemar test, two-sided."""
    return float(binomtest(only_b, only_a + only_b).pvalue) if only_a + only_b else 1.0


def images_needed(disagreement: float, difference: float = POINT) -> int:
    """Return how many images detect a `difference` in accuracy with power 0.8.

    After Connor (1987, Biometrics 43:207), for McNemar's test.

    Args:
        disagreement: share of images that only one of both releases predicts correctly; it is at least `difference`.
    """
    share = max(disagreement, difference)
    root = Z_ALPHA * sqrt(share) + Z_POWER * sqrt(share - difference**2)
    return ceil((root / difference) ** 2)


def _differences(gains: np.ndarray, seed: int) -> list[Difference]:
    """Return means of rows of (K, N), with intervals from RESAMPLES draws of N images, in chunks to save memory."""
    generator = np.random.default_rng(seed)
    count = gains.shape[1]
    at_once = max(1, 4_000_000 // count)
    means = []
    for start in range(0, RESAMPLES, at_once):
        drawn = generator.integers(0, count, (min(at_once, RESAMPLES - start), count))
        means.append(np.stack([row[drawn].mean(axis=1) for row in gains]))
    bounds = np.quantile(np.concatenate(means, axis=1), (ALPHA / 2, 1 - ALPHA / 2), axis=1)
    return [
        Difference(float(row.mean()), float(low), float(high)) for row, low, high in zip(gains, *bounds, strict=True)
    ]
