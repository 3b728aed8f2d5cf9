"""Split conformal prediction sets (Angelopoulos, Bates 2021, arXiv:2107.07511); see models.card.Conformal.

The random draw of APS and RAPS is left out, because the same image must always get the same set. So sets are never too
small.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.stats import beta

from handlers.uncertainty.prediction_sets import set_scores
from models.card import Conformal

# Of `coverage: auto`.
LEAST_COVERAGE = 0.9
# A threshold is uncertain if fewer calibration images than this lie above it.
MIN_ABOVE = 4
# Images of a class; with fewer, class-conditional sets hold the class nearly always.
MIN_CLASS_IMAGES = 50
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class SetRule:
    """A recipe's choice of prediction sets; see training.uncertainty.UncertaintySettings."""

    method: Literal["lac", "aps", "raps"]
    coverage: float | Literal["auto"]
    class_conditional: bool
    penalty: float = 0.0
    free: int = 0


@dataclass(frozen=True, slots=True)
class FittedSets:
    """Fitted prediction sets, or the reason why the model gives none, and remarks for the user."""

    conformal: Conformal | None
    reason: str | None
    remarks: tuple[str, ...]


def fit_sets(probabilities: torch.Tensor, labels: torch.Tensor, rule: SetRule) -> FittedSets:
    """Fit thresholds for sets with the rule's coverage on new images.

    Args:
        probabilities: (N, classes), of images that no weight was fitted on.
        labels: int64 (N,).
    """
    counts = torch.bincount(labels, minlength=probabilities.shape[1])
    count = int(counts.min()) if rule.class_conditional else len(labels)
    right = float((probabilities.argmax(dim=1) == labels).double().mean())
    if rule.coverage == "auto":
        coverage = auto_coverage(len(labels), round((1 - right) * len(labels)), count)
        if coverage is None:
            return _none(
                f"the network is right on {right:.1%} of the calibration images, and {_images(count, rule)} cannot "
                f"show a higher coverage than {1 - MIN_ABOVE / (count + 1):.1%}: more calibration images are needed"
            )
    else:
        coverage = rule.coverage
    if conservative_rank(count, coverage) > count:
        needed = math.ceil(round(coverage / (1 - coverage), 9))
        return _none(f"{_images(count, rule)} are too few for coverage {coverage:g}: {needed} or more are needed")
    draft = Conformal(method=rule.method, coverage=coverage, thresholds=(0.0,), penalty=rule.penalty, free=rule.free)
    ranked, order = probabilities.sort(dim=1, descending=True, stable=True)
    scores = set_scores(ranked, draft)[order == labels[:, None]]
    groups = [scores[labels == label] for label in range(len(counts))] if rule.class_conditional else [scores]
    thresholds = tuple(float(group.sort().values[conservative_rank(len(group), coverage) - 1]) for group in groups)
    low, high = coverage_interval(count, coverage)
    remarks = []
    if not any(thresholds):
        high = 1.0  # many scores are equal, so the coverage is higher than asked for
        remarks.append(
            f"the most probable class alone is right on {right:.1%} of the calibration images, more than coverage "
            f"{coverage:g}: every set holds one class; coverage: auto would say more"
        )
    if rule.class_conditional and count < MIN_CLASS_IMAGES:
        remarks.append(
            f"{_images(count, rule)} make class-conditional sets large: {MIN_CLASS_IMAGES} of each class or more are "
            "advised"
        )
    update = {"thresholds": thresholds, "coverage_low": round(low, 4), "coverage_high": round(high, 4)}
    return FittedSets(draft.model_copy(update=update), None, tuple(remarks))


def auto_coverage(images: int, mistakes: int, images_for_threshold: int) -> float | None:
    """Return a coverage halfway between the network's accuracy and 1, or None if the images cannot show it.

    Below its accuracy, the most probable class alone has the coverage, and sets say nothing.

    Args:
        images_for_threshold: images that a threshold is fitted on: all, or those of the smallest class.
    """
    error = (mistakes + 1) / (images + 1)
    highest = 1 - MIN_ABOVE / (images_for_threshold + 1)
    if highest < 1 - mistakes / images:
        return None
    return round(max(LEAST_COVERAGE, min(1 - error / 2, highest)), 6)


def coverage_interval(images: int, coverage: float) -> tuple[float, float]:
    """Return the interval of the coverage over 95 % of trainings with so many calibration images.

    It is a Beta distribution with k and n + 1 - k, k = `conservative_rank` (Vovk 2012, arXiv:1209.2673).
    """
    rank = conservative_rank(images, coverage)
    tail = (1 - CONFIDENCE) / 2
    distribution = beta(rank, images + 1 - rank)
    return float(distribution.ppf(tail)), float(distribution.ppf(1 - tail))


def conservative_rank(count: int, share: float) -> int:
    """Return the rank ceil((count + 1) * share). A new score exceeds this one with probability 1 - `share` at most.

    Ranks begin with 1. A rank above `count` means that no score is large enough (Angelopoulos, Bates 2021,
    arXiv:2107.07511, 1.1).
    """
    # A product such as 100 * 0.07 is a little above 7 in floating point, and must not become 8.
    return math.ceil(round((count + 1) * share, 9))


def _images(count: int, rule: SetRule) -> str:
    return f"{count} calibration images{' of the smallest class' if rule.class_conditional else ''}"


def _none(reason: str) -> FittedSets:
    return FittedSets(None, reason, (f"the model gives no prediction sets: {reason}",))
