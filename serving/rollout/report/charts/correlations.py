"""Histogram of the rank correlations between the attribution maps of both versions."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from serving.rollout.report import words
from serving.rollout.report.charts import scale
from serving.rollout.report.charts.scale import Scale

WIDTH, LEFT, RIGHT, TOP, BAR_HEIGHT, HEIGHT = 620, 40, 16, 40, 130, 214
BINS_PER_UNIT = 10


@dataclass(frozen=True, slots=True)
class Bar:
    """Images with correlations in one bin."""

    x: float
    width: float
    y: float
    height: float
    title: str
    low: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """Positions of everything on the chart. `low` bars are below the limit."""

    bars: list[Bar]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    limit_x: float
    limit: float
    median_x: float
    median: float
    median_left: bool
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = TOP + BAR_HEIGHT


def histogram(correlations: Sequence[float], limit: float) -> Histogram | None:
    """Return the histogram; None without correlations.

    Args:
        correlations: values from -1 to 1.
        limit: smallest median that the plan allows.
    """
    # A constant map has no rank correlation. The check counts it as the lowest one.
    values = [-1.0 if math.isnan(value) else min(1.0, max(-1.0, value)) for value in correlations]
    if not values:
        return None
    low = min(0, *(int(value * BINS_PER_UNIT // 1) for value in [*values, limit]))
    counts = dict.fromkeys(range(low, BINS_PER_UNIT), 0)
    for value in values:
        counts[min(BINS_PER_UNIT - 1, int(value * BINS_PER_UNIT // 1))] += 1
    across = Scale(low / BINS_PER_UNIT, 1.0, LEFT, WIDTH - RIGHT)
    high = scale.round_up(max(counts.values()))
    up = Scale(0.0, high, TOP + BAR_HEIGHT, TOP)
    bars = []
    for index, count in counts.items():
        first, last = across(index / BINS_PER_UNIT), across((index + 1) / BINS_PER_UNIT)
        bounds = (words.signed(edge / BINS_PER_UNIT, 1) for edge in (index, index + 1))
        title = f"{' to '.join(bounds)}: {words.number(count, 'image')}"
        y = up(count)
        bars.append(
            Bar(first + 1, round(last - first - 2, 1), y, round(TOP + BAR_HEIGHT - y, 1), title, _below(index, limit))
        )
    median = statistics.median(values)
    ticks = [index for index in range(low, BINS_PER_UNIT + 1) if index % (2 if low > -5 else 5) == 0]
    return Histogram(
        bars,
        [(across(index / BINS_PER_UNIT), words.signed(index / BINS_PER_UNIT, 1)) for index in ticks],
        [(up(value), f"{value:g}") for value in (0, high)],
        across(limit),
        limit,
        across(median),
        median,
        median < limit,
    )


def _below(index: int, limit: float) -> bool:
    return (index + 0.5) / BINS_PER_UNIT < limit
