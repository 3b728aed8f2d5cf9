"""Figures of a report, derived from the predictions."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import torch
from torch.nn import functional
from torchmetrics.functional import classification

from handlers import uncertainty
from training.evaluate import Evaluation
from training.metrics.interval import Share, share

# Of equal width, as in most papers, whose figures would not compare otherwise.
BINS = 15


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
class Quality:
    """Quality of probabilities.

    Attributes:
        nll: mean negative log-likelihood, in nats.
        ece: expected calibration error, over BINS bins (Guo et al. 2017, arXiv:1706.04599).
        brier: mean squared distance of the probabilities from the truth, over all classes (Brier 1950): 0 to 2.
    """

    nll: float
    ece: float
    brier: float


@dataclass(frozen=True, slots=True)
class SetSize:
    """Prediction sets of one size: number of images, and coverage."""

    size: int
    images: int
    coverage: Share


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """Prediction sets: coverage and size.

    Attributes:
        classes: coverage by class, in the card's order.
    """

    method: str
    target: float
    coverage: Share
    mean_size: float
    classes: tuple[Share | None, ...]
    sizes: tuple[SetSize, ...]


@dataclass(frozen=True, slots=True)
class OodDetection:
    """Out-of-distribution (OOD) detection.

    Attributes:
        target: false positive rate that the threshold was fitted for.
        false_positive_rate: share of the test images above the threshold.
        ood_data: name of the OOD data set.
        auroc: probability that an OOD image has a higher score than a test image.
        detected: share of the OOD images above the threshold.
    """

    method: str
    threshold: float
    target: float
    false_positive_rate: Share
    ood_data: str | None
    auroc: float | None
    detected: Share | None


@dataclass(frozen=True, slots=True)
class Decisions:
    """Decisions by the card's policy: accepted predictions, their accuracy, and reasons of the others.

    Attributes:
        reasons: number of referred predictions for each reason.
    """

    accepted: Share
    accuracy: Share | None
    reasons: dict[str, int]


@dataclass(frozen=True, slots=True)
class Figures:
    """All figures; `before` is without the temperature, `after` as served (the same if the card has no uncertainty)."""

    images: int
    accuracy: float
    right: Share
    loss: float
    before: Quality
    after: Quality
    prediction_sets: PredictionSets | None
    ood_detection: OodDetection | None
    decisions: Decisions | None
    classes: tuple[ClassFigures, ...]
    confusion: list[list[int]]


def figures(test: Evaluation, ood_data: OodData | None = None) -> Figures:
    """Derive all figures from the predictions for a split and the scores of OOD data."""
    return Figures(
        images=len(test),
        accuracy=test.accuracy,
        right=share(int(test.right.sum()), len(test)),
        loss=test.loss,
        before=_quality(test, 1.0),
        after=_quality(test, test.temperature),
        prediction_sets=_prediction_sets(test),
        ood_detection=_ood_detection(test, ood_data),
        decisions=_decisions(test),
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


def _quality(test: Evaluation, temperature: float) -> Quality:
    classes = len(test.card.classes)
    probabilities = uncertainty.probabilities(test.logits, temperature)
    ece = classification.multiclass_calibration_error(probabilities, test.labels, classes, n_bins=BINS, norm="l1")
    truth = functional.one_hot(test.labels, classes)
    return Quality(
        nll=float(functional.cross_entropy(test.logits.double() / temperature, test.labels)),
        ece=float(ece),
        brier=float((probabilities - truth).square().sum(dim=1).mean()),
    )


def _prediction_sets(test: Evaluation) -> PredictionSets | None:
    rule = test.card.uncertainty
    if rule is None or rule.conformal is None or test.uncertainties is None:
        return None
    names = test.card.classes
    sets = [entry.set or [] for entry in test.uncertainties]
    sizes = torch.tensor([len(labels) for labels in sets])
    pairs = zip(sets, test.labels.tolist(), strict=True)
    covered = torch.tensor([names[label] in labels for labels, label in pairs])

    def coverage(rows: torch.Tensor) -> Share:
        return share(int((covered & rows).sum()), int(rows.sum()))

    by_label = [test.labels == index for index in range(len(names))]
    by_size = {size: sizes == size for size in sorted(set(sizes.tolist()))}
    return PredictionSets(
        method=rule.conformal.method,
        target=rule.conformal.coverage,
        coverage=share(int(covered.sum()), len(test)),
        mean_size=float(sizes.double().mean()),
        classes=tuple(coverage(rows) if rows.any() else None for rows in by_label),
        sizes=tuple(SetSize(size, int(rows.sum()), coverage(rows)) for size, rows in by_size.items()),
    )


def _ood_detection(test: Evaluation, ood_data: OodData | None) -> OodDetection | None:
    rule, own = test.card.uncertainty, test.scores
    if rule is None or own is None:
        return None
    threshold = rule.ood.threshold
    return OodDetection(
        method=rule.ood.score,
        threshold=threshold,
        target=rule.ood.false_positive_rate,
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


def _decisions(test: Evaluation) -> Decisions | None:
    if test.uncertainties is None:
        return None
    reasons = [entry.reason for entry in test.uncertainties]
    accepted = torch.tensor([reason is None for reason in reasons])
    return Decisions(
        accepted=share(int(accepted.sum()), len(test)),
        accuracy=share(int(test.right[accepted].sum()), int(accepted.sum())) if accepted.any() else None,
        reasons=dict(Counter(reason for reason in reasons if reason)),
    )
