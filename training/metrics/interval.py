"""Shares with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.stats import binomtest

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Share:
    """A share, `count` of `total`, and its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float
    count: int
    total: int


def share(count: int, total: int, confidence: float = CONFIDENCE) -> Share:
    """Return the share with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209); `total` is above 0."""
    value = count / total
    interval = binomtest(count, total).proportion_ci(confidence, method="wilson")
    # Rounding can put a bound on the wrong side of a share of 0 or 1.
    return Share(value, min(value, float(interval.low)), max(value, float(interval.high)), count, total)
