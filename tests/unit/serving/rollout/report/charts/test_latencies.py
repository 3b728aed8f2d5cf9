from __future__ import annotations

import pytest

from serving.proxy.arm_counts import ArmCounts
from serving.rollout.arms import Arms, Stage
from serving.rollout.report.charts.latencies import LEFT, PLOT_HEIGHT, RIGHT, TOP, WIDTH, latencies
from serving.rollout.report.words import SPACE


def stage(share: float, stable: dict[int, int], candidate: dict[int, int]) -> Stage:
    return Stage(share, Arms(*(ArmCounts(sum(arm.values()), latencies=arm) for arm in (stable, candidate))))


def test_line_rises_by_the_share_of_each_latency() -> None:
    chart = latencies([stage(0.5, {10_000: 30, 100_000: 10}, {10_000: 40})])
    assert chart is not None
    stable, candidate = chart.lines
    left, right, bottom = LEFT, WIDTH - RIGHT, TOP + PLOT_HEIGHT
    # The axis is logarithmic from 10 to 200 ms, so that 100 ms is at log 10 / log 20.
    middle = round(left + (right - left) * 0.768622, 1)
    quarter = TOP + PLOT_HEIGHT / 4
    assert stable.points.split() == [
        f"{x:g},{y:g}"
        for x, y in (
            (left, bottom),
            (left, bottom),
            (left, quarter),
            (middle, quarter),
            (middle, TOP),
            (right, TOP),
        )
    ]
    assert candidate.points.split()[2] == f"{left:g},{TOP:g}"
    assert [text.replace(SPACE, " ") for _, text in chart.x_ticks] == ["10 ms", "20 ms", "50 ms", "100 ms", "200 ms"]


def test_step_with_most_answers_of_the_candidate_is_shown() -> None:
    few, most, less = (
        stage(share, {9000: 900}, {9000: count}) for share, count in ((0.01, 30), (0.25, 400), (0.5, 100))
    )
    chart = latencies([few, most, less])
    assert chart is not None
    assert (chart.share, chart.lines[1].responses) == (0.25, 400)


def test_wide_range_has_powers_of_ten_only() -> None:
    chart = latencies([stage(0.5, {100: 20, 9_000_000: 20}, {100: 20})])
    assert chart is not None
    assert [text.replace(SPACE, " ") for _, text in chart.x_ticks] == [
        "0.1 ms",
        "1.0 ms",
        "10 ms",
        "100 ms",
        "1 s",
        "10 s",
    ]


@pytest.mark.parametrize(
    "stages",
    [
        [],
        [stage(0.0, {9000: 900}, {9000: 100})],
        [stage(1.0, {9000: 900}, {9000: 100})],
        [stage(0.5, {9000: 900}, {9000: 19})],
        [stage(0.5, {0: 900}, {0: 900})],
    ],
)
def test_without_enough_answers_in_the_canary_there_is_no_chart(stages: list[Stage]) -> None:
    assert latencies(stages) is None
