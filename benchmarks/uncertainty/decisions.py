"""Measures referral and out-of-distribution detection, with everything fitted as in a training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch

from benchmarks.uncertainty.networks import MeasuredNetwork, rows
from benchmarks.uncertainty.resplits import resplits
from handlers import decision
from handlers.uncertainty import UncertaintyEstimator
from handlers.uncertainty.observation import observe
from handlers.uncertainty.ood import OodDetector
from training.battery import BatterySet, battery_sets
from training.battery.foreign import network_input
from training.metrics.interval import Share, share
from training.uncertainty import ScoredBatterySet, UncertaintySettings, fit
from training.uncertainty.ood import OodRule, fit_ood

# Images of a set of the battery.
COUNT = 100
# Seeds of the foreign images: those that the score is chosen on, and those that it is measured on.
CHOICE_SEED, MEASURED_SEED = 1, 0
RATES = (0.05, 0.01)


@dataclass(slots=True)
class ReferralResult:
    """Decisions by the tuned policy for a data set's networks, over all splits.

    Attributes:
        predictions, referred: number of held-out images of all splits, and how many are referred.
        mistakes, caught: number of wrong predictions among them, and how many of these are referred.
        by_network: of each network, the share of its mistakes that is referred.
    """

    data: str
    images: int
    predictions: int = 0
    referred: int = 0
    mistakes: int = 0
    caught: int = 0
    by_network: list[float] = field(default_factory=list)


@dataclass(slots=True)
class DetectionResult:
    """Detection for a data set's networks.

    Attributes:
        scores: how often each score was chosen.
        false_alarms: share of held-out images that are detected, over all splits, by false positive rate.
        detected: share of a battery's set that is detected, by its title and the rate.
        right: share of a changed set that is predicted correctly, by its title; None: foreign images.
    """

    data: str
    scores: dict[str, int] = field(default_factory=dict)
    false_alarms: dict[float, Share] = field(default_factory=dict)
    detected: dict[tuple[str, float], Share] = field(default_factory=dict)
    right: dict[str, Share | None] = field(default_factory=dict)


def measure_referral(
    networks: Sequence[MeasuredNetwork], scores: Sequence[str], images: int, splits: int
) -> ReferralResult | None:
    """Measure referral; None if the pools are too small for so many calibration images.

    Args:
        scores: the OOD score of each network.
    """
    result = ReferralResult(networks[0].data, images)
    for network, score in zip(networks, scores, strict=True):
        settings = UncertaintySettings.model_validate({"ood": score})
        mistakes = caught = 0
        for chosen, held in resplits(len(network.pool.labels), images, splits, network.seed):
            fitted = fit(network.train, rows(network.pool, chosen), settings)
            estimator = UncertaintyEstimator(fitted.uncertainty, fitted.tensors)
            held_out = rows(network.pool, held)
            ranking = decision.rank(held_out.outputs.logits, fitted.uncertainty.temperature)
            classes = [str(index) for index in range(ranking.order.shape[1])]
            uncertainties = decision.uncertainties(ranking, held_out.outputs, estimator, classes)
            is_referred = torch.tensor([entry.decision == "refer" for entry in uncertainties])
            wrong = ranking.order[:, 0] != held_out.labels
            result.predictions += len(held)
            result.referred += int(is_referred.sum())
            mistakes += int(wrong.sum())
            caught += int((wrong & is_referred).sum())
        if mistakes:
            result.by_network.append(caught / mistakes)
        result.mistakes += mistakes
        result.caught += caught
    return result if result.predictions else None


def measure_detection(
    networks: Sequence[MeasuredNetwork], splits: int, foreign: Sequence[bytes] = ()
) -> tuple[DetectionResult, list[str]]:
    """Return the detection, and the OOD score that was chosen for each network.

    Half of the pool is the calibration split, and the other half is held out. False alarms are counted over several
    such splits.

    Args:
        foreign: encoded images of the user, which show none of the classes.
    """
    result = DetectionResult(networks[0].data)
    counts: dict[object, tuple[int, int]] = {}
    scores: list[str] = []

    def add(key: object, hits: torch.Tensor) -> None:
        count, total = counts.get(key, (0, 0))
        counts[key] = count + int(hits.sum()), total + len(hits)

    for network in networks:
        half = len(network.pool.labels) // 2
        order = torch.randperm(len(network.pool.labels), generator=torch.Generator().manual_seed(network.seed))
        calibration, held_out = order[:half], order[half:]
        choice = [scored for scored, _ in _battery(network, calibration, CHOICE_SEED)]
        sets = list(_battery(network, held_out, MEASURED_SEED))
        if foreign:
            pixels = network_input(foreign, network.spec)
            scored = ScoredBatterySet("foreign", observe(network.engine, pixels), None)
            sets.append((scored, BatterySet("foreign", "images of `--foreign`", pixels, None)))
        chosen = ""
        for rate in RATES:
            fitted = fit_ood(network.train, rows(network.pool, calibration), OodRule("auto", True, rate), choice)
            detector = OodDetector(fitted.card, fitted.tensors)
            chosen = fitted.card.score
            for own, held_out in resplits(len(network.pool.labels), half, splits, network.seed):
                again = fit_ood(network.train, rows(network.pool, own), OodRule(chosen, True, rate))
                values = OodDetector(again.card, again.tensors)(rows(network.pool, held_out).outputs).values
                add(rate, torch.tensor(values) > again.card.threshold)
            for scored, entry in sets:
                detected = torch.tensor(detector(scored.outputs).values) > fitted.card.threshold
                add((entry.title, rate), detected)
                if rate == RATES[0]:
                    add(entry.title, ~scored.to_refer)
                    result.right[entry.title] = None
                    if entry.labels is not None:
                        result.right[entry.title] = share(*counts[entry.title])
                result.detected[entry.title, rate] = share(*counts[entry.title, rate])
            result.false_alarms[rate] = share(*counts[rate])
        result.scores[chosen] = result.scores.get(chosen, 0) + 1
        scores.append(chosen)
    return result, scores


def _battery(
    network: MeasuredNetwork, indices: torch.Tensor, seed: int
) -> Iterator[tuple[ScoredBatterySet, BatterySet]]:
    pixels, labels = network.pixels[indices], network.pool.labels[indices]
    for entry in battery_sets(pixels, labels, network.spec, network.data, count=COUNT, seed=seed):
        yield ScoredBatterySet(entry.name, observe(network.engine, entry.pixels), entry.labels), entry
