"""Out-of-distribution (OOD) detection: false alarms, and detected images of another data set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torchmetrics.functional import classification

from training.evaluate import Evaluation
from training.metrics.expected import ExpectedRange, expected_range
from training.metrics.interval import Share, share


@dataclass(frozen=True, slots=True)
class OodData:
    """Out-of-distribution scores of another data set.

    Attributes:
        name: name of the data set.
        scores: float64 (N,), as in Evaluation.
    """

    name: str
    scores: torch.Tensor


@dataclass(frozen=True, slots=True)
class OodDetection:
    """Out-of-distribution (OOD) detection.

    Attributes:
        method: score of the embedding.
        pixel_statistics: whether statistics of the pixels count too.
        choice: share of the battery that each candidate score detected on the calibration images, by score; empty if
            the recipe names the score.
        threshold: highest score of an image that is in distribution.
        target: false positive rate that the threshold was fitted for.
        expected: range of the false positive rate that this test set should show; None if there were too few
            calibration images for the target.
        false_positive_rate: share of the test images above the threshold.
        ood_data: name of the OOD data set.
        auroc: probability that an OOD image has a higher score than a test image.
        detected: share of the OOD images above the threshold.
    """

    method: str
    pixel_statistics: bool
    choice: Mapping[str, float]
    threshold: float
    target: float
    expected: ExpectedRange | None
    false_positive_rate: Share
    ood_data: str | None
    auroc: float | None
    detected: Share | None


def ood_detection(test: Evaluation, ood_data: OodData | None = None) -> OodDetection | None:
    """Measure the OOD scores of a test set, and those of OOD data; None if the card has no `uncertainty`."""
    rule, own = test.card.uncertainty, test.scores
    if rule is None or own is None:
        return None
    threshold, target = rule.ood.threshold, rule.ood.false_positive_rate
    within = expected_range(1 - target, test.card.data.calibration, len(test))
    return OodDetection(
        method=rule.ood.score,
        pixel_statistics=rule.ood.pixel_scale is not None,
        choice=dict(rule.ood.choice),
        threshold=threshold,
        target=target,
        expected=ExpectedRange(1 - within.high, 1 - within.low) if within else None,
        false_positive_rate=share(int((own > threshold).sum()), len(test)),
        ood_data=ood_data.name if ood_data else None,
        auroc=float(classification.binary_auroc(*stacked(own, ood_data.scores))) if ood_data else None,
        detected=share(int((ood_data.scores > threshold).sum()), len(ood_data.scores)) if ood_data else None,
    )


def stacked(own: torch.Tensor, ood: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the scores of both as ranks from 0 to 1, and labels (1: OOD), the input of torchmetrics' binary curves.

    torchmetrics applies the sigmoid to other scores, which would make all large scores equal.
    """
    ranks = torch.unique(torch.cat([own, ood]), return_inverse=True)[1].double()
    is_ood = torch.cat([torch.zeros(len(own)), torch.ones(len(ood))]).long()
    return ranks / ranks.max().clamp(min=1), is_ood
