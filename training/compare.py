"""Which of two releases is better: the same images answered by both, and whether the difference can be chance."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from scipy.stats import binomtest

from training.evaluate import Evaluation

# What is called a difference: one that chance alone would make in less than 5 of 100 such test sets.
ALPHA = 0.05
RESAMPLES = 10_000
# Of the normal distribution at 97.5 % and 80 %: significance on two sides, and the power of a test large enough.
Z_ALPHA, Z_POWER = 1.959963984540054, 0.8416212335729143
# The smallest difference in accuracy that people ask for, one point.
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
        only_a: places of the images that A alone answers rightly; only_b, that B alone does.
        p_value: of the exact McNemar test: how often chance would make a difference this large between equals.
        accuracy: the difference in shares of right answers, above 0 where B is better.
        loss: the difference in mean negative log-likelihood, in nats, below 0 where B's probabilities are better.
        needed: about how many images show a difference in accuracy of one point, if the two disagree as often as here.
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
        """What the test of accuracy says."""
        if self.p_value < ALPHA:
            return "B is better" if self.accuracy.value > 0 else "B is worse"
        return (
            "no difference that this test set can show (it would take about "
            f"{self.needed:,} images to show one of 1 point)"
        )

    @property
    def verdict_on_probabilities(self) -> str:
        """What the interval of the loss says."""
        if self.loss.low <= 0 <= self.loss.high:
            return "no difference that this test set can show"
        return "B's are better" if self.loss.value < 0 else "B's are worse"


def compare(a: Evaluation, b: Evaluation, seed: int = 0) -> Comparison:
    """Compare the answers of two releases to the same images in the same order.

    The test of accuracy is McNemar's (1947, Psychometrika 12:153) in its exact form: of the images that one alone
    answers rightly, about as many belong to either if both are equally good. Intervals are from a paired bootstrap by
    percentiles (Efron 1979, Annals of Statistics 7:1).

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
    """How often chance alone divides so many images at least as unevenly, on two sides."""
    return float(binomtest(only_b, only_a + only_b).pvalue) if only_a + only_b else 1.0


def images_needed(disagreement: float, difference: float = POINT) -> int:
    """How many images show a `difference` in accuracy 8 times in 10.

    After Connor (1987, Biometrics 43:207), for McNemar's test.

    Args:
        disagreement: share of images that one of the two alone answers rightly; it cannot be below `difference`.
    """
    share = max(disagreement, difference)
    root = Z_ALPHA * sqrt(share) + Z_POWER * sqrt(share - difference**2)
    return ceil((root / difference) ** 2)


def _differences(gains: np.ndarray, seed: int) -> list[Difference]:
    """Means of rows of (K, N), with intervals from RESAMPLES draws of N images; some draws at once, to spare memory."""
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
