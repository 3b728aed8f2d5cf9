"""Figures of a report, derived from the predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torchmetrics.functional import classification

from handlers import uncertainty
from training.evaluate import Evaluation, losses
from training.metrics.calibration import Change, ClassReliability, Quality, change, quality, reliability
from training.metrics.interval import Share, share
from training.metrics.ood_detection import OodData, OodDetection, ood_detection
from training.metrics.prediction_sets import PredictionSets, prediction_sets
from training.metrics.referral import Referral, referral


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class.

    Attributes:
        images: number of images with this label.
        recall: share of these that are predicted as this class.
        precision: share of the predictions of this class that are correct.
        f1: harmonic mean of both.
    """

    name: str
    images: int
    recall: Share | None
    precision: Share | None
    f1: float | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions by the card's policy: accepted predictions, their accuracy, and reasons of the others.

    Attributes:
        reasons: number of referred predictions for each reason.
        details: number of predictions that are referred as out of distribution, by what is unlike the training images.
    """

    accepted: Share
    accuracy: Share | None
    reasons: dict[str, int]
    details: dict[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures of a report.

    Attributes:
        before: quality of the probabilities without the temperature.
        after: quality of the probabilities as served; equal to `before` if the card has no `uncertainty`.
        change: effect of the temperature; None if the card has no `uncertainty`.
        reliability: probability and accuracy of the predictions of each class, as served.
        referral: None if the card has no `uncertainty`, as are the three before it.
    """

    images: int
    accuracy: float
    right: Share
    loss: float
    before: Quality
    after: Quality
    change: Change | None
    reliability: tuple[ClassReliability, ...]
    prediction_sets: PredictionSets | None
    ood_detection: OodDetection | None
    decisions: Decisions | None
    referral: Referral | None
    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]]


def figures(test: Evaluation, ood_data: OodData | None = None) -> Figures:
    """Derive all figures from the predictions for a split and the scores of OOD data."""
    before = quality(uncertainty.probabilities(test.logits), losses(test.logits, test.labels, 1.0), test.labels)
    calibrated = test.card.uncertainty is not None
    return Figures(
        images=len(test),
        accuracy=test.accuracy,
        right=share(int(test.right.sum()), len(test)),
        loss=test.loss,
        before=before,
        after=quality(test.probabilities, test.losses, test.labels) if calibrated else before,
        change=change(losses(test.logits, test.labels, 1.0), test.losses) if calibrated else None,
        reliability=reliability(test.card.classes, test.probabilities, test.labels),
        prediction_sets=prediction_sets(test),
        ood_detection=ood_detection(test, ood_data),
        decisions=_decisions(test),
        referral=_referral(test),
        classes=_classes(test),
        confusion=test.confusion.tolist(),
    )


def _classes(test: Evaluation) -> tuple[ClassFigures, ...]:
    names = test.card.classes
    counts = test.confusion
    hits, labeled, answered = counts.diagonal().tolist(), counts.sum(dim=1).tolist(), counts.sum(dim=0).tolist()
    f1 = classification.multiclass_f1_score(test.answered, test.labels, len(names), average="none").tolist()
    return tuple(
        ClassFigures(
            name=name,
            images=labeled[i],
            recall=share(hits[i], labeled[i]) if labeled[i] else None,
            precision=share(hits[i], answered[i]) if answered[i] else None,
            f1=f1[i] if labeled[i] else None,
        )
        for i, name in enumerate(names)
    )


def _decisions(test: Evaluation) -> Decisions | None:
    if test.uncertainties is None:
        return None
    reasons = [entry.reason for entry in test.uncertainties]
    accepted = torch.tensor([reason is None for reason in reasons])
    return Decisions(
        accepted=share(int(accepted.sum()), len(test)),
        accuracy=share(int(test.right[accepted].sum()), int(accepted.sum())) if accepted.any() else None,
        reasons=dict(Counter(reason for reason in reasons if reason)),
        details=dict(Counter(entry.reason_detail for entry in test.uncertainties if entry.reason_detail)),
    )


def _referral(test: Evaluation) -> Referral | None:
    if test.uncertainties is None or test.card.uncertainty is None:
        return None
    return referral(test.right, test.probabilities.amax(dim=1), test.uncertainties, test.card.uncertainty.refer)
