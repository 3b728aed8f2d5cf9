from __future__ import annotations

import pytest

from serving.rollout.report.charts.correlations import histogram


def test_bars_count_the_maps() -> None:
    chart = histogram([0.05, 0.07, 0.81, 1.0], 0.5)
    assert chart is not None
    counted = {bar.title: bar.low for bar in chart.bars if bar.height}
    assert counted == {"0.0 to 0.1: 2 images": True, "0.8 to 0.9: 1 image": False, "0.9 to 1.0: 1 image": False}
    assert (chart.median, chart.median_left) == (pytest.approx(0.44), True)
    assert chart.median_x < chart.limit_x


def test_negative_correlations_widen_the_axis() -> None:
    chart = histogram([-0.95, 0.9], 0.5)
    assert chart is not None
    assert [text for _, text in chart.x_ticks] == ["\N{MINUS SIGN}1.0", "\N{MINUS SIGN}0.5", "0.0", "0.5", "1.0"]


def test_constant_map_counts_as_the_lowest_correlation() -> None:
    chart = histogram([float("nan")], 0.5)
    assert chart is not None
    assert chart.median == -1


def test_no_maps_have_no_chart() -> None:
    assert histogram([], 0.5) is None
