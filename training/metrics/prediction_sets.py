"""Prediction sets: coverage and sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from training.evaluate import Evaluation
from training.metrics.expected import ExpectedRange, expected_range
from training.metrics.interval import Share, share


@dataclass(frozen=True, slots=True)
class SetSize:
    """Prediction sets of one size: number of images, and coverage."""

    size: int
    images: int
    coverage: Share


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """Prediction sets of a test set.

    Attributes:
        target: coverage that the sets were fitted for.
        target_low: lower end of the range that holds the coverage of 95 % of models with so many calibration images.
        target_high: upper end of this range.
        expected: range of the coverage that this test set should show; None for class-conditional sets.
        coverage: share of the sets that contain the labeled class.
        mean_size: mean number of classes in a set.
        class_conditional: whether each class has a threshold of its own.
        classes: coverage by class, in the card's order; None for a class without images.
        sizes: number of images and coverage for each size of a set.
    """

    method: str
    target: float
    target_low: float
    target_high: float
    expected: ExpectedRange | None
    coverage: Share
    mean_size: float
    class_conditional: bool
    classes: tuple[Share | None, ...]
    sizes: tuple[SetSize, ...]


def prediction_sets(test: Evaluation) -> PredictionSets | None:
    """Measure the sets of a test set; None if the card has none."""
    rule = test.card.uncertainty
    if rule is None or rule.conformal is None or test.uncertainties is None:
        return None
    names, conformal = test.card.classes, rule.conformal
    members = [entry.set or [] for entry in test.uncertainties]
    sizes = torch.tensor([len(labels) for labels in members])
    covered = torch.tensor([names[label] in entry for entry, label in zip(members, test.labels.tolist(), strict=True)])

    def coverage(rows: torch.Tensor) -> Share:
        return share(int((covered & rows).sum()), int(rows.sum()))

    by_label = [test.labels == index for index in range(len(names))]
    by_size = {size: sizes == size for size in sorted(set(sizes.tolist()))}
    class_conditional = len(conformal.thresholds) > 1
    return PredictionSets(
        method=conformal.method,
        target=conformal.coverage,
        target_low=conformal.coverage_low,
        target_high=conformal.coverage_high,
        # Each class has its own number of calibration images then, which the card does not have.
        expected=None
        if class_conditional
        else expected_range(conformal.coverage, test.card.data.calibration, len(test)),
        coverage=share(int(covered.sum()), len(test)),
        mean_size=float(sizes.double().mean()),
        class_conditional=class_conditional,
        classes=tuple(coverage(rows) if rows.any() else None for rows in by_label),
        sizes=tuple(SetSize(size, int(rows.sum()), coverage(rows)) for size, rows in by_size.items()),
    )
