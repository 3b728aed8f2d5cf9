"""Scales of charts: from values to positions, with round values for the ticks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

TIME_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear scale.

    Attributes:
        low, high: ends of the values.
        start, end: their positions.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of a value. Values beyond the ends get the position of the end."""
        value = min(max(value, self.low), self.high)
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)


def round_up(value: float) -> float:
    """Return the next value of 1, 2, 2.5 or 5 times a power of ten; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value * (1 - 1e-9))


def time_ticks(seconds: float, max_ticks: int = 8) -> list[float]:
    """Return times from 0 to at most `seconds`, at round distances."""
    step = next((step for step in TIME_STEPS if seconds / step <= max_ticks), 0) or 86400 * math.ceil(
        seconds / 86400 / max_ticks
    )
    return [float(step * index) for index in range(int(seconds / step) + 1)]


def apart(positions: Sequence[float], distance: float, low: float, high: float) -> list[float]:
    """Move positions of labels so that they are at least `distance` apart and between two ends, in the same order.

    With too little room for that, they overlap at the lower end.
    """
    order = sorted(range(len(positions)), key=lambda index: positions[index])
    moved = [0.0] * len(positions)
    previous = low - distance
    for index in order:
        moved[index] = previous = max(positions[index], previous + distance)
    following = high + distance
    for index in reversed(order):
        moved[index] = following = min(moved[index], following - distance)
    return [round(position, 1) for position in moved]
