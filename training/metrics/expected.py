"""Range in which a share beyond a conformal threshold should lie on a test set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scipy.stats import betabinom

from training.metrics.interval import CONFIDENCE, Share
from training.uncertainty.conformal import conservative_rank

Agreement = Literal["below", "within", "above"]


@dataclass(frozen=True, slots=True)
class ExpectedRange:
    """Range that holds the share of 95 % of test sets like the calibration images, from `low` to `high`."""

    low: float
    high: float

    def agreement(self, measured: Share) -> Agreement:
        """Return where a measured share lies."""
        if measured.value < self.low:
            return "below"
        return "above" if measured.value > self.high else "within"


def expected_range(target: float, calibration: int, test: int) -> ExpectedRange | None:
    """Return the expected range of a share at or below a threshold that was fitted for the share `target`.

    Both splits are small, and both count: the share of new images is Beta-distributed over calibration splits (Vovk
    2012, arXiv:1209.2673), and a test split of `test` images measures it.

    Args:
        calibration: number of images that the threshold was fitted on.

    Returns:
        None if there are too few calibration images for a threshold.
    """
    rank = conservative_rank(calibration, target)
    if rank > calibration:
        return None
    tail = (1 - CONFIDENCE) / 2
    low, high = betabinom(test, rank, calibration + 1 - rank).ppf([tail, 1 - tail])
    return ExpectedRange(float(low) / test, float(high) / test)
