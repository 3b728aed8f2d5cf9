"""Calibration of probabilities: expected calibration error, its uncertainty, and reliability by class.

The expected calibration error (ECE) is a mean of absolute values, so chance alone makes it larger than 0. A figure is
worth nothing without the value that a perfectly calibrated model would show with so many images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional

from training.metrics.interval import CONFIDENCE, Share, share

# Of equal width, as in most papers, whose figures would not compare otherwise.
BINS = 15
# Resamples of the bootstrap, and simulated calibrated models.
DRAWS = 1000
# Values of a chunk of draws: a limit of memory.
CHUNK = 4_000_000
SEED = 0
# Images: a share of fewer says little, and is drawn pale.
FEW = 10


@dataclass(frozen=True, slots=True)
class Bins:
    """Predictions by their probability, in BINS bins of equal width.

    Attributes:
        counts: number of predictions, (BINS,).
        confidence: mean probability of each bin, (BINS,), as accuracy: not a number where the bin is empty.
        accuracy: share of correct predictions of each bin.
    """

    counts: torch.Tensor
    confidence: torch.Tensor
    accuracy: torch.Tensor

    @property
    def error(self) -> float:
        """The expected calibration error."""
        gaps = (self.confidence - self.accuracy).abs().nan_to_num()
        return float((gaps * self.counts).sum() / self.counts.sum())


def bins(probabilities: torch.Tensor, labels: torch.Tensor) -> Bins:
    """Sort predictions into bins by probability, from probabilities (N, C) and labels (N,)."""
    top, predicted = probabilities.max(dim=1)
    indices = _bin_indices(top)
    counts = torch.bincount(indices, minlength=BINS)
    return Bins(
        counts,
        torch.bincount(indices, weights=top, minlength=BINS) / counts,
        torch.bincount(indices, weights=(predicted == labels).double(), minlength=BINS) / counts,
    )


@dataclass(frozen=True, slots=True)
class Quality:
    """Quality of probabilities.

    Attributes:
        nll: mean negative log-likelihood, in nats.
        ece: expected calibration error, over BINS bins (Guo et al. 2017, arXiv:1706.04599).
        ece_low: lower end of the 95 % interval of `ece`; 0 if `ece` is at most `ece_calibrated_high`.
        ece_high: upper end of this interval.
        ece_calibrated: mean ECE that a perfectly calibrated model with these probabilities shows on so many images.
        ece_calibrated_high: value that such a model exceeds in 5 of 100 test sets of this size.
        brier: mean squared distance of the probabilities from the truth, over all classes (Brier 1950): 0 to 2.
    """

    nll: float
    ece: float
    ece_low: float
    ece_high: float
    ece_calibrated: float
    ece_calibrated_high: float
    brier: float

    @property
    def is_off(self) -> bool:
        """True if chance does not explain the calibration error."""
        return self.ece > self.ece_calibrated_high


def quality(probabilities: torch.Tensor, losses: torch.Tensor, labels: torch.Tensor) -> Quality:
    """Measure the quality of probabilities, float64 (N, C), with the losses in nats (N,) and the labels, int64 (N,).

    The interval of the ECE reaches from the lower end of the basic bootstrap interval to the upper end of the
    percentile interval. Chance makes the ECE too large, and the resamples repeat that: the percentile interval alone is
    too high, and the basic interval alone is too narrow (Davison, Hinkley 1997, "Bootstrap methods", 5.2).
    """
    top, predicted = probabilities.max(dim=1)
    right = (predicted == labels).double()
    indices = _bin_indices(top)
    ece = float(torch.bincount(indices, weights=top - right, minlength=BINS).abs().sum() / len(top))
    generator = torch.Generator().manual_seed(SEED)

    def calibrated(draws: int) -> torch.Tensor:
        drawn = torch.rand(draws, len(top), dtype=torch.float64, generator=generator) < top
        return _errors(indices.expand(draws, -1), top - drawn.double())

    def resampled(draws: int) -> torch.Tensor:
        rows = torch.randint(len(top), (draws, len(top)), generator=generator)
        return _errors(indices[rows], (top - right)[rows])

    tail = (1 - CONFIDENCE) / 2
    null, bootstrap = _in_chunks(calibrated, len(top)), _in_chunks(resampled, len(top))
    low, high = (float(bootstrap.quantile(level)) for level in (tail, 1 - tail))
    null_high = float(null.quantile(0.95))
    truth = functional.one_hot(labels, probabilities.shape[1])
    return Quality(
        nll=float(losses.mean()),
        ece=ece,
        ece_low=0.0 if ece <= null_high else max(0.0, min(low, 2 * ece - high)),
        ece_high=max(high, 2 * ece - low),
        ece_calibrated=float(null.mean()),
        ece_calibrated_high=null_high,
        brier=float((probabilities - truth).square().sum(dim=1).mean()),
    )


@dataclass(frozen=True, slots=True)
class Change:
    """Effect of the temperature on the mean negative log-likelihood of the test images.

    Attributes:
        nll: after minus before, in nats; below 0 is better.
        low: lower end of its 95 % interval: image by image, normal approximation.
        high: upper end.
    """

    nll: float
    low: float
    high: float


def change(before: torch.Tensor, after: torch.Tensor) -> Change:
    """Compare the losses in nats (N,) of the same images before and after the temperature."""
    differences = after - before
    mean = float(differences.mean())
    error = float(differences.std() / len(differences) ** 0.5) if len(differences) > 1 else float("inf")
    return Change(mean, mean - 1.96 * error, mean + 1.96 * error)


@dataclass(frozen=True, slots=True)
class ClassReliability:
    """Predictions of one class: their mean probability against the share of them that is right.

    Attributes:
        probability: mean probability of the predictions of this class; None without predictions.
        right: share of the predictions of this class that are right.
        verdict: whether the mean probability is too high or too low by more than chance explains. The interval for this
            test is wider than that of `right`, because all classes are tested (Bonferroni).
    """

    name: str
    probability: float | None
    right: Share | None
    verdict: Literal["too sure", "too timid"] | None


def reliability(
    names: tuple[str, ...], probabilities: torch.Tensor, labels: torch.Tensor
) -> tuple[ClassReliability, ...]:
    """Compare probability and accuracy for the predictions of each class, from probabilities (N, C), labels (N,)."""
    top, predicted = probabilities.max(dim=1)
    confidence = 1 - (1 - CONFIDENCE) / len(names)
    return tuple(
        _class_reliability(name, top[predicted == index], labels[predicted == index] == index, confidence)
        for index, name in enumerate(names)
    )


def _class_reliability(name: str, top: torch.Tensor, right: torch.Tensor, confidence: float) -> ClassReliability:
    if not len(top):
        return ClassReliability(name, None, None, None)
    probability, count = float(top.mean()), int(right.sum())
    widest = share(count, len(top), confidence)
    verdict: Literal["too sure", "too timid"] | None = None
    if probability > widest.high:
        verdict = "too sure"
    elif probability < widest.low:
        verdict = "too timid"
    return ClassReliability(name, probability, share(count, len(top)), verdict)


def _bin_indices(top: torch.Tensor) -> torch.Tensor:
    return (top * BINS).long().clamp(max=BINS - 1)


def _errors(indices: torch.Tensor, gaps: torch.Tensor) -> torch.Tensor:
    """Return the ECE of each row, (draws,), given bin indices and probability minus hit of each image (draws, N)."""
    sums = torch.zeros(len(gaps), BINS, dtype=torch.float64).scatter_add_(1, indices, gaps)
    return sums.abs().sum(dim=1) / gaps.shape[1]


def _in_chunks(draw: Callable[[int], torch.Tensor], images: int) -> torch.Tensor:
    """Return DRAWS values of `draw`, computed in chunks that fit into memory."""
    size = max(1, CHUNK // images)
    return torch.cat([draw(min(size, DRAWS - start)) for start in range(0, DRAWS, size)])
