"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from scipy.optimize import brentq, minimize_scalar
from torch.nn import functional

from models.card import Calibration

# Bounds of the temperature; trained networks are within them.
COLDEST, HOTTEST = 0.05, 20.0
# Standard deviation of ln T before any image is seen: T is between 0.37 and 2.7 for two networks in three.
PRIOR_DEVIATION = 0.5
# Share of labels that may be wrong. It bounds what one image can do: a mistake that the network is sure of would cost
# so much otherwise that it alone decides.
LABEL_NOISE = 0.001
# The log-likelihood falls by this much within one standard error of its maximum (Wilks 1938, Ann. Math. Stat. 9:60).
STANDARD_ERROR_LOSS = 0.5
# With fewer mistakes, the images do not show whether the network is too cautious, so T is not below 1.
MIN_MISTAKES = 10
FOLDS = 5
GRID = 25
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Temperature:
    """A fitted temperature.

    Attributes:
        value: divisor of the logits.
        evidence: whether it helps, for the card.
        remarks: sentences for the user.
    """

    value: float
    evidence: Calibration
    remarks: tuple[str, ...]


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> Temperature:
    """Fit the temperature on images that the weights were not fitted on, and check on which it helps.

    Args:
        logits: (N, classes).
        labels: int64 (N,).
    """
    logits = logits.double()
    value = fitted(logits, labels)
    raw, crossed = _losses(logits, labels), _cross_fitted(logits, labels)
    gains, count = raw - crossed, len(labels)
    error = float(gains.std()) / math.sqrt(count) if count > 1 else 0.0
    mistakes = count_mistakes(logits, labels)
    unproven = mistakes < MIN_MISTAKES or float(gains.mean()) < error or not error
    evidence = Calibration(
        images=count,
        mistakes=mistakes,
        nll_raw=round(float(raw.mean()), 6),
        nll_cross_fitted=round(float(crossed.mean()), 6),
        gain_error=round(error, 6),
        verdict="unproven" if unproven else "proven",
    )
    remarks = [unproven_sentence(evidence)] if unproven else []
    if not COLDEST * 1.1 < value < HOTTEST / 1.1:
        size = "small" if value < 1 else "large"
        remarks.append(
            f"the temperature is {value:g}, at its bound: the network's logits are too {size} for the {count} "
            "calibration images, and probabilities are not calibrated"
        )
    return Temperature(value, evidence, tuple(remarks))


def fitted(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the T nearest to 1 that the images do not speak against, between COLDEST and HOTTEST.

    The best T minimizes the summed loss of logits / T, with labels of which LABEL_NOISE is wrong, plus the penalty of a
    normal distribution of ln T around 0. Without these, a few images without a mistake would make T nearly 0, and one
    mistake that the network is sure of would make it large. Targets that are smoothed for this purpose (Platt 1999) act
    like a mistake for each class: of 360 digits, they make probabilities of 0.85 of which 99.7 % are right. Of all T
    within one standard error of the best, the nearest to 1 changes the network's probabilities no more than is shown.

    Args:
        logits: float64 (N, classes).
        labels: int64 (N,).
    """
    blur = math.log(LABEL_NOISE / logits.shape[1])

    def penalized_loss(log_temperature: float) -> float:
        right = -functional.cross_entropy(logits / math.exp(log_temperature), labels, reduction="none")
        blurred = torch.logaddexp(right + math.log1p(-LABEL_NOISE), torch.full_like(right, blur))
        return float(-blurred.sum()) + log_temperature**2 / (2 * PRIOR_DEVIATION**2)

    floor = 1.0 if count_mistakes(logits, labels) < MIN_MISTAKES else COLDEST
    # The loss of logits that are far too large has a plateau around T = 1, so the search begins on a grid.
    grid = torch.linspace(math.log(floor), math.log(HOTTEST), GRID).tolist()
    start = min(range(GRID), key=lambda index: penalized_loss(grid[index]))
    bounds = (grid[max(start - 1, 0)], grid[min(start + 1, GRID - 1)])
    best = float(minimize_scalar(penalized_loss, bounds=bounds, method="bounded", options={"xatol": 1e-6}).x)
    limit = penalized_loss(best) + STANDARD_ERROR_LOSS
    if penalized_loss(0.0) <= limit:
        return 1.0
    nearest = brentq(lambda log_temperature: penalized_loss(log_temperature) - limit, best, 0.0, xtol=1e-6)
    return round(math.exp(nearest), DIGITS)


def count_mistakes(logits: torch.Tensor, labels: torch.Tensor) -> int:
    """Return how many images are predicted wrongly."""
    return int((logits.argmax(dim=1) != labels).sum())


def unproven_sentence(evidence: Calibration) -> str:
    """Return in words why it is not proven that the temperature helps."""
    start = "it is unproven that calibration helps: "
    if evidence.mistakes < MIN_MISTAKES:
        return (
            f"{start}{evidence.images} calibration images have {evidence.mistakes} "
            f"mistake{'' if evidence.mistakes == 1 else 's'}, and {MIN_MISTAKES} are needed to tell"
        )
    gain = evidence.nll_raw - evidence.nll_cross_fitted
    return (
        f"{start}on images that it was not fitted on, it lowers the loss by {gain:.4f} nats, and the standard error of "
        f"this number is {evidence.gain_error:.4f}"
    )


def _losses(logits: torch.Tensor, labels: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    return functional.cross_entropy(logits / temperature, labels, reduction="none")


def _cross_fitted(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the loss of each image with the temperature that was fitted on the other folds, float64 (N,)."""
    folds = min(FOLDS, len(labels))
    # Splits may be ordered by class, so the folds are drawn.
    fold = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0)) % folds
    losses = torch.zeros(len(labels), dtype=torch.float64)
    for number in range(folds):
        held_out, fitting = fold == number, fold != number
        temperature = fitted(logits[fitting], labels[fitting]) if fitting.any() else 1.0
        losses[held_out] = _losses(logits[held_out], labels[held_out], temperature)
    return losses
