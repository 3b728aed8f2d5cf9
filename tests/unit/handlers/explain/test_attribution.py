from __future__ import annotations

import pytest
import torch

from handlers.explain.attribution import Attribution


def attribution(total: float, f_x: float, f_baseline: float) -> Attribution:
    values = torch.zeros(1, 3, 2, 2)
    values[0, 0, 0, 0], values[0, 2, 0, 0] = total - 1, 1
    return Attribution(values, torch.tensor([f_x]), torch.tensor([f_baseline]), {})


def test_the_map_is_the_sum_over_channels_with_its_sign() -> None:
    assert attribution(-4, 0, 0).heat(0).tolist() == [[-4, 0], [0, 0]]


@pytest.mark.parametrize(
    ("total", "f_x", "f_baseline", "delta", "ok"),
    [
        (8, 10, 2, 0, True),
        (8.4, 10, 2, 0.4, True),
        (8.5, 10, 2, 0.5, False),
        (-7.5, 2, 10, 0.5, False),
        (0.14, 0.1, 0, 0.04, True),  # logits near each other: 5 % of 1
        (0.16, 0.1, 0, 0.06, False),
    ],
)
def test_up_to_five_percent_may_be_left_over(
    total: float, f_x: float, f_baseline: float, delta: float, ok: bool
) -> None:
    found = attribution(total, f_x, f_baseline).completeness(0)
    assert found == {"delta": pytest.approx(delta, abs=1e-5), "ok": ok}
