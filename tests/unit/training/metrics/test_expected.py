"""The range of a measured share, against simulated splits."""

from __future__ import annotations

import pytest
import torch

from training.metrics.expected import ExpectedRange, expected_range
from training.metrics.interval import share
from training.uncertainty.conformal import conservative_rank


@pytest.mark.parametrize(("target", "calibration", "test"), [(0.9, 100, 80), (0.99, 360, 360), (0.95, 60, 500)])
def test_the_range_holds_95_of_100_measured_shares(target: float, calibration: int, test: int) -> None:
    expected = expected_range(target, calibration, test)
    assert expected is not None
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(4000, calibration, generator=generator).sort(dim=1).values
    thresholds = scores[:, conservative_rank(calibration, target) - 1]
    shares = (torch.rand(4000, test, generator=generator) <= thresholds[:, None]).double().mean(dim=1)
    inside = float(((shares >= expected.low) & (shares <= expected.high)).double().mean())
    assert inside >= 0.94


def test_there_is_no_range_with_too_few_calibration_images() -> None:
    assert expected_range(0.99, 50, 100) is None


def test_a_share_lies_below_within_or_above() -> None:
    expected = ExpectedRange(0.8, 0.9)
    assert [expected.agreement(share(count, 100)) for count in (79, 80, 90, 91)] == [
        "below",
        "within",
        "within",
        "above",
    ]
