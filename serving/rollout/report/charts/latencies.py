"""Distribution of the latencies of both versions in one canary step, when both answered at the same time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from serving.proxy.arm_counts import ArmCounts
from serving.rollout.arms import Stage
from serving.rollout.report import words
from serving.rollout.report.charts.scale import Scale

WIDTH, LEFT, RIGHT, TOP, PLOT_HEIGHT, HEIGHT = 620, 48, 24, 26, 150, 218
# A distribution of fewer responses says nothing.
MIN_RESPONSES = 20
# Ticks of the logarithmic axis in microseconds: 1, 2 and 5 times each power of ten, or the powers if that are many.
TICKS = [step * 10**power for power in range(9) for step in (1, 2, 5)]
MAX_TICKS = 10


@dataclass(frozen=True, slots=True)
class Distribution:
    """Cumulative distribution of one version's latencies.

    Attributes:
        points: the line: share of responses that took at most so long.
        responses: number of responses.
    """

    arm: str
    points: str
    responses: int


@dataclass(frozen=True, slots=True)
class Latencies:
    """Positions of everything on the chart. `share` is that of the canary step."""

    share: float
    lines: list[Distribution]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = TOP + PLOT_HEIGHT


def latencies(stages: Sequence[Stage]) -> Latencies | None:
    """Return the chart of the canary step in which the candidate answered most; None if it answered too little."""
    canary = [stage for stage in stages if 0 < stage.share < 1 and _enough(stage)]
    if not canary:
        return None
    stage = max(canary, key=lambda stage: _responses(stage.arms.candidate))
    buckets = [bucket for arm in (stage.arms.stable, stage.arms.candidate) for bucket in arm.latencies if bucket > 0]
    if not buckets:
        return None
    low = max((tick for tick in TICKS if tick <= min(buckets)), default=TICKS[0])
    high = min((tick for tick in TICKS if tick > max(buckets)), default=max(buckets) * 2)
    ticks = [tick for tick in TICKS if low <= tick <= high]
    if len(ticks) > MAX_TICKS:
        ticks = [tick for tick in ticks if math.log10(tick).is_integer()]
    across = Scale(math.log10(low), math.log10(high), LEFT, WIDTH - RIGHT)
    up = Scale(0.0, 1.0, TOP + PLOT_HEIGHT, TOP)
    lines = [
        Distribution(name, _points(arm, across, up), _responses(arm))
        for name, arm in (("stable", stage.arms.stable), ("candidate", stage.arms.candidate))
    ]
    return Latencies(
        stage.share,
        lines,
        [(across(math.log10(tick)), words.latency(tick / 1e6)) for tick in ticks],
        [(up(share), words.percent(share)) for share in (0.0, 0.5, 0.95, 1.0)],
    )


def _points(arm: ArmCounts, across: Scale, up: Scale) -> str:
    total, cumulative = _responses(arm), 0
    path = [(across(across.low), up(0.0))]
    for bucket in sorted(arm.latencies):
        x = across(math.log10(max(1, bucket)))
        path.append((x, path[-1][1]))
        cumulative += arm.latencies[bucket]
        path.append((x, up(cumulative / total)))
    path.append((across(across.high), path[-1][1]))
    return " ".join(f"{x:g},{y:g}" for x, y in path)


def _enough(stage: Stage) -> bool:
    return min(_responses(stage.arms.stable), _responses(stage.arms.candidate)) >= MIN_RESPONSES


def _responses(arm: ArmCounts) -> int:
    return sum(arm.latencies.values())
