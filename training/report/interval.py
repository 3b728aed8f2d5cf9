"""Shares with confidence intervals."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

# The 97.5 % point of the normal distribution: intervals hold the truth 95 times in 100.
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Share:
    """A share, `count` of `total`, and its 95 % interval from `low` to `high`."""

    value: float
    low: float
    high: float
    count: int
    total: int


def share(count: int, total: int) -> Share:
    """The share with Wilson's score interval (Wilson 1927, J. Am. Stat. Assoc. 22:209); `total` is above 0."""
    value = count / total
    middle = value + Z * Z / (2 * total)
    reach = Z * sqrt(value * (1 - value) / total + Z * Z / (4 * total * total))
    scale = 1 + Z * Z / total
    low, high = (middle - reach) / scale, (middle + reach) / scale
    # Rounding would leave an interval of all or of nothing just short of it.
    return Share(value, max(0.0, min(value, low)), min(1.0, max(value, high)), count, total)
