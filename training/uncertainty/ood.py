"""Fitting of OOD detection: the distance of embeddings that detects most, the scales and the threshold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch

from handlers.uncertainty.ood import OodDetector, PixelDistance
from handlers.uncertainty.ood import distance as embedding_distance
from models.card import OutOfDistribution, Scale
from training.uncertainty.conformal import conservative_rank
from training.uncertainty.distances import DistanceError, embedding_tensors, pixel_tensors
from training.uncertainty.scored import Scored, ScoredBatterySet

Score = Literal["mahalanobis", "relative_mahalanobis", "mahalanobis_asinh", "energy"]
# False positive rates of `auto`: the lower one takes 99 calibration images, see `conservative_rank`. With 0.05, alarms
# use up the images that may be referred, and fewer mistakes are caught (docs/explanation/uncertainty.md).
RATE, LOW_RATE, LOW_RATE_IMAGES = 0.05, 0.01, 100
# Share of the calibration images that become 1 on a scale.
UPPER = 0.95
# Images of a battery's set that must be referred, for the set to count.
MIN_TO_REFER = 5


@dataclass(frozen=True, slots=True)
class OodRule:
    """A recipe's choice of OOD detection; see training.uncertainty.UncertaintySettings."""

    score: Score | Literal["auto"]
    pixel_statistics: bool
    false_positive_rate: float | Literal["auto"]


@dataclass(frozen=True, slots=True)
class FittedOod:
    """Fitted OOD detection: section of the card, float tensors for uncertainty.safetensors, remarks for the user."""

    card: OutOfDistribution
    tensors: dict[str, torch.Tensor]
    remarks: tuple[str, ...]


def fit_ood(train: Scored, calibration: Scored, rule: OodRule, battery: Sequence[ScoredBatterySet] = ()) -> FittedOod:
    """Fit OOD detection.

    With `score: auto`, every score is fitted, and the one that detects most of the battery is chosen: no score is best
    for all networks and images. Without a battery that is the first of them.

    Args:
        train: the training images as serving sees them: class means and covariances come from these.
        calibration: images that the weights were not fitted on: scales and threshold come from these.
        battery: changed calibration images, and foreign ones.

    Raises:
        DistanceError: the training images allow no such score.
    """
    rate = rule.false_positive_rate
    if rate == "auto":
        rate = LOW_RATE if len(calibration.labels) >= LOW_RATE_IMAGES else RATE
    pixels = pixel_tensors(_statistics(train)) if rule.pixel_statistics else {}
    if rule.score != "auto":
        return _fit(rule.score, rate, train, calibration, pixels)
    candidates: dict[str, FittedOod] = {}
    for score in get_args(Score):
        try:
            candidates[score] = _fit(score, rate, train, calibration, pixels)
        except DistanceError:  # energy needs nothing of the training images, so one is always left
            continue
    choice = {name: round(detected_share(candidate, battery), 4) for name, candidate in candidates.items()}
    best = candidates[max(choice, key=lambda name: choice[name])]
    return FittedOod(best.card.model_copy(update={"choice": choice if battery else {}}), best.tensors, best.remarks)


def detected_share(fitted: FittedOod, battery: Sequence[ScoredBatterySet]) -> float:
    """Return the share of images to refer that are detected, averaged over the sets with enough of them; 0 without."""
    detector = OodDetector(fitted.card, fitted.tensors)
    shares = []
    for entry in battery:
        if int(entry.to_refer.sum()) >= MIN_TO_REFER:
            detected = torch.tensor(detector(entry.outputs).values) > fitted.card.threshold
            shares.append(float(detected[entry.to_refer].double().mean()))
    return sum(shares) / len(shares) if shares else 0.0


def _fit(
    score: Score, rate: float, train: Scored, calibration: Scored, pixels: Mapping[str, torch.Tensor]
) -> FittedOod:
    classes = train.outputs.logits.shape[1]
    tensors = embedding_tensors(score, train.outputs.embeddings, train.labels, classes) | dict(pixels)
    distances = embedding_distance(score, tensors)(calibration.outputs)
    pixel_scale = scale(PixelDistance.of(pixels)(_statistics(calibration)), logarithmic=True) if pixels else None
    draft = OutOfDistribution(
        score=score,
        scale=scale(distances, logarithmic=score in ("mahalanobis", "mahalanobis_asinh")),
        pixel_scale=pixel_scale,
        threshold=0.0,
        false_positive_rate=rate,
    )
    scores = OodDetector(draft, tensors)(calibration.outputs).values
    threshold, remarks = fit_threshold(scores, rate)
    return FittedOod(draft.model_copy(update={"threshold": threshold}), tensors, remarks)


def scale(distances: torch.Tensor, *, logarithmic: bool) -> Scale:
    """Return the scale of distances (N,) of calibration images."""
    floor = 1e-9
    median, upper = distances.quantile(0.5).item(), distances.quantile(UPPER).item()
    median = max(median, floor) if logarithmic else median
    # Of images that are nearly alike, both may be equal.
    return Scale(median=median, upper=max(upper, median + max(abs(median), 1.0) * floor), logarithmic=logarithmic)


def fit_threshold(scores: Sequence[float], false_positive_rate: float) -> tuple[float, tuple[str, ...]]:
    """Return a threshold that new images like these exceed at most at `false_positive_rate`, and remarks.

    Args:
        scores: of images that the weights were not fitted on.
    """
    ordered = sorted(scores)
    rank = conservative_rank(len(ordered), 1 - false_positive_rate)
    if rank <= len(ordered):
        return ordered[rank - 1], ()
    remark = (
        f"{len(ordered)} calibration images are too few for a false positive rate of {false_positive_rate:g}. The "
        f"threshold is their largest score, so the rate may be one image in {len(ordered) + 1}"
    )
    return ordered[-1], (remark,)


def _statistics(scored: Scored) -> torch.Tensor:
    assert scored.outputs.statistics is not None, "handlers.uncertainty.observation.observe adds them"
    return scored.outputs.statistics
