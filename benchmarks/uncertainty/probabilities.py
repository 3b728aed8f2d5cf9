"""Measures calibrated probabilities and prediction sets over many splits of each network's pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean

import torch
from scipy.stats import betabinom
from torch.nn import functional

from benchmarks.uncertainty.networks import MeasuredNetwork
from benchmarks.uncertainty.resplits import resplits
from handlers.uncertainty import probabilities
from handlers.uncertainty.prediction_sets import membership
from models.card import Conformal
from training.metrics.calibration import bins
from training.uncertainty.conformal import CONFIDENCE, SetRule, conservative_rank, fit_sets
from training.uncertainty.temperature import fitted

RULE = SetRule(method="lac", coverage="auto", class_conditional=False)


@dataclass(slots=True)
class CalibrationResult:
    """Calibration of a data set's networks with so many calibration images, over all splits.

    Attributes:
        worse: of each network, the share of splits whose held-out NLL is higher than without the temperature.
        nll: of each split, mean held-out NLL without and with the temperature, in nats.
        ece: expected calibration error of the held-out predictions of all splits together, without and with it.
    """

    data: str
    images: int
    worse: list[float] = field(default_factory=list)
    nll: list[tuple[float, float]] = field(default_factory=list)
    ece: tuple[float, float] = (0.0, 0.0)


@dataclass(slots=True)
class SetResult:
    """Prediction sets of a data set's networks with so many calibration images, over all splits.

    Attributes:
        splits: number of splits.
        coverage: of each split that gives sets, the coverage aimed at and the measured one.
        is_within: of each of these, whether the measured coverage is within its 95 % interval.
        sizes: of each of these, the mean size.
        several: of each of these, the share of sets with more than one class.
        mistakes: wrong predictions of these splits, and how many of their sets have the right class.
    """

    data: str
    images: int
    splits: int = 0
    coverage: list[tuple[float, float]] = field(default_factory=list)
    is_within: list[bool] = field(default_factory=list)
    sizes: list[float] = field(default_factory=list)
    several: list[float] = field(default_factory=list)
    mistakes: tuple[int, int] = (0, 0)


def measure(
    networks: Sequence[MeasuredNetwork], images: int, splits: int
) -> tuple[CalibrationResult, SetResult] | None:
    """Measure networks of one data set; None if their pools are too small for so many calibration images."""
    calibration, sets = CalibrationResult(networks[0].data, images), SetResult(networks[0].data, images)
    raw_rows, fitted_rows, labels = [], [], []
    for network in networks:
        logits, every_label = network.pool.outputs.logits.double(), network.pool.labels
        worse = []
        for chosen, held in resplits(len(every_label), images, splits, network.seed):
            temperature = fitted(logits[chosen], every_label[chosen])
            nll = tuple(
                float(functional.cross_entropy(logits[held] / value, every_label[held])) for value in (1.0, temperature)
            )
            calibration.nll.append((nll[0], nll[1]))
            worse.append(nll[1] > nll[0] + 1e-9)
            rows = probabilities(logits[held], temperature)
            raw_rows.append(probabilities(logits[held]))
            fitted_rows.append(rows)
            labels.append(every_label[held])
            sets.splits += 1
            conformal = fit_sets(probabilities(logits[chosen], temperature), every_label[chosen], RULE).conformal
            if conformal is not None:
                _add(sets, conformal, rows, every_label[held])
        if worse:
            calibration.worse.append(mean(worse))
    if not labels:
        return None
    truth = torch.cat(labels)
    calibration.ece = bins(torch.cat(raw_rows), truth).error, bins(torch.cat(fitted_rows), truth).error
    return calibration, sets


def _add(result: SetResult, conformal: Conformal, rows: torch.Tensor, labels: torch.Tensor) -> None:
    """Add the sets of held-out probabilities (N, C) with their labels (N,)."""
    ranked, order = rows.sort(dim=1, descending=True, stable=True)
    members = membership(ranked, order, conformal)
    has_label = (members & (order == labels[:, None])).any(dim=1)
    wrong = order[:, 0] != labels
    sizes = members.sum(dim=1).double()
    result.coverage.append((conformal.coverage, float(has_label.double().mean())))
    result.is_within.append(_is_within(int(has_label.sum()), len(labels), result.images, conformal.coverage))
    result.sizes.append(float(sizes.mean()))
    result.several.append(float((sizes > 1).double().mean()))
    total, covered = result.mistakes
    result.mistakes = total + int(wrong.sum()), covered + int((wrong & has_label).sum())


def _is_within(covered: int, held_out: int, images: int, coverage: float) -> bool:
    """Return whether so many covered images agree with the Beta distribution of the coverage.

    The number of covered images among the held-out ones is then beta-binomial.
    """
    rank = conservative_rank(images, coverage)
    low, high = betabinom(held_out, rank, images + 1 - rank).interval(CONFIDENCE)
    return bool(low <= covered <= high)
