from __future__ import annotations

import pytest

from serving.rollout.report.charts import scale
from serving.rollout.report.charts.scale import Scale


def test_scale_maps_ends_and_keeps_values_inside() -> None:
    up = Scale(0.0, 10.0, 100.0, 0.0)
    assert [up(value) for value in (0, 5, 10, -3, 99)] == [100, 50, 0, 100, 0]


@pytest.mark.parametrize(
    ("value", "top"), [(0, 1), (0.013, 0.02), (0.02, 0.02), (3, 5), (21, 25), (60, 100), (100, 100)]
)
def test_round_up_is_a_round_number(value: float, top: float) -> None:
    assert scale.round_up(value) == pytest.approx(top)


@pytest.mark.parametrize(
    ("seconds", "last", "count"), [(1, 1, 2), (150, 150, 6), (1140, 900, 4), (86400 * 30, 86400 * 28, 8)]
)
def test_time_ticks_are_round_and_few(seconds: float, last: float, count: int) -> None:
    ticks = scale.time_ticks(seconds)
    assert (ticks[0], ticks[-1], len(ticks)) == (0, last, count)


def test_labels_move_apart_in_their_order() -> None:
    assert scale.apart([50, 52], 15, 0, 100) == [50, 65]
    assert scale.apart([99, 98], 15, 0, 100) == [100, 85]
    assert scale.apart([10, 90], 15, 0, 100) == [10, 90]
