from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from handlers.explain.methods.introspection import Introspection
from handlers.explain.methods.method import Passes, TargetScore
from handlers.explain.methods.row_limit import MAX_ROWS
from handlers.explain.scheduling.costs import BUDGET, Costs, Pass


class Slow(nn.Module):
    """A model of time: `fixed` seconds for each pass and `row` seconds for each row."""

    def __init__(self, fixed: float, row: float) -> None:
        super().__init__()
        self.fixed, self.row = fixed, row

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        time.sleep(self.fixed + self.row * len(images))
        return images.mean(dim=(2, 3))


def measured(fixed: float, row: float) -> Costs:
    return Costs.measure(TargetScore(Slow(fixed, row), Introspection()), size=4, classes=3)


def test_pass_cost_is_measured_for_any_number_of_rows() -> None:
    costs = measured(fixed=0.01, row=0.001)
    assert costs.forward.row == pytest.approx(0.001, rel=0.5)
    assert costs.forward.fixed == pytest.approx(0.01, rel=0.5)
    assert costs.both.row >= 0.0005


def test_a_slow_network_is_not_measured_for_long() -> None:
    start = time.perf_counter()
    costs = measured(fixed=0, row=0.2)
    assert time.perf_counter() - start < 1.5 * BUDGET
    assert costs.forward.row == pytest.approx(0.2, rel=0.2)


def test_seconds_follow_from_rows_and_passes() -> None:
    costs = Costs(forward=Pass(0.1, 0.01), both=Pass(0.2, 0.03))
    assert costs.seconds(Passes(1, 0), 1) == pytest.approx(0.11)
    assert costs.seconds(Passes(1, 1), 1) == pytest.approx(0.23)
    assert costs.seconds(Passes(20, 20), 2) == pytest.approx(0.2 + 40 * 0.03)
    assert costs.seconds(Passes(22, 20), 2) == pytest.approx(0.2 + 40 * 0.03 + 0.1 + 4 * 0.01)
    assert costs.seconds(Passes(MAX_ROWS + 1, 0), 1) == pytest.approx(2 * 0.1 + 65 * 0.01)


def test_predictions_follow_what_answers_took() -> None:
    costs = Costs(forward=Pass(0, 0.01), both=Pass(0, 0.02))
    single = Passes(1, 1)
    assert costs.factor == 1
    for _ in range(100):
        predicted = costs.seconds(single, 10)
        costs.observe(predicted, 0.6)
    assert costs.seconds(single, 10) == pytest.approx(0.6)
    for _ in range(64):
        costs.observe(costs.seconds(single, 10), 0.1)
    assert costs.seconds(single, 10) == pytest.approx(0.1)


def test_a_few_slow_answers_of_many_count_and_a_single_one_does_not() -> None:
    costs = Costs(forward=Pass(0, 1.0), both=Pass(0, 1.0))
    for took in [1.0] * 63 + [9.0]:
        costs.observe(costs.seconds(Passes(1, 0), 1), took)
    assert costs.factor == pytest.approx(1)
    for _ in range(8):
        costs.observe(costs.seconds(Passes(1, 0), 1), 3.0)
    assert costs.factor == pytest.approx(3)


def test_method_that_was_once_slow_is_tried_again() -> None:
    costs = Costs(forward=Pass(0, 1.0), both=Pass(0, 1.0))
    for took in [1.0] + [9.0] * 64:
        costs.observe(costs.seconds(Passes(1, 0), 1, "ig"), took, "ig")
    assert costs.factor_of("ig") == pytest.approx(9)
    for _ in range(64):
        costs.relax("ig")
    assert costs.factor_of("ig") == pytest.approx(1)
    costs.relax("never tried")


def test_each_method_is_learnt_by_itself_and_a_new_one_takes_what_all_took() -> None:
    costs = Costs(forward=Pass(0, 1.0), both=Pass(0, 1.0))
    for method, took in (("deeplift", 4.0), ("ig", 2.0), ("ig", 2.0)):
        costs.observe(costs.seconds(Passes(1, 0), 1, method), took, method)
    assert costs.seconds(Passes(1, 0), 1, "deeplift") == pytest.approx(4)
    assert costs.seconds(Passes(1, 0), 1, "ig") == pytest.approx(2)
    assert costs.seconds(Passes(1, 0), 1, "gradcam") == costs.factor == pytest.approx(4)
