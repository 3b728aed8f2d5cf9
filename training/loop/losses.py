"""Losses: logits (N, classes) and the targets of N images -> one number, the mean over the images.

Targets are probabilities (N, classes), because label smoothing and mixup make them so; a plain label is a row with a
single 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch.nn import functional

from training.recipe import Loss

Function = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """-sum over classes of target * log probability, in nats, by image (N,)."""
    return functional.cross_entropy(logits, targets, reduction="none")


def mean_squared_error(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the Brier score by image (N,): squared differences of probability and target, summed over the classes.

    Brier 1950, Monthly Weather Review 78(1). From 0 to 2.
    """
    return (logits.softmax(dim=1) - targets).square().sum(dim=1)


def focal(logits: torch.Tensor, targets: torch.Tensor, gamma: float) -> torch.Tensor:
    """Cross-entropy by image (N,), each class's term times (1 - probability) ** gamma: easy images count less.

    Lin et al. 2017, arXiv:1708.02002.
    """
    log = functional.log_softmax(logits, dim=1)
    # Not below the least step of a float: the slope of x ** gamma at 0 is infinite where gamma is below 1.
    doubt = (-torch.expm1(log)).clamp(min=torch.finfo(log.dtype).eps)
    return -(targets * doubt.pow(gamma) * log).sum(dim=1)


def build(loss: Loss, counts: Sequence[int]) -> Function:
    """Return the loss function of a recipe, with logits and targets as arguments.

    Args:
        counts: training images of each class, for balanced class weights. These have mean 1 over the training images;
            an image's weight is that of its target.
    """
    functions: dict[str, Function] = {
        "cross_entropy": cross_entropy,
        "mean_squared_error": mean_squared_error,
        "focal": lambda logits, targets: focal(logits, targets, loss.gamma),
    }
    function = functions[loss.name]
    weights = None
    if loss.class_weights == "balanced":
        weights = sum(counts) / (len(counts) * torch.tensor(counts, dtype=torch.float32).clamp(min=1))

    def smoothed(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        weight = None if weights is None else targets @ weights.to(targets.device)
        if loss.label_smoothing:
            targets = targets * (1 - loss.label_smoothing) + loss.label_smoothing / targets.shape[1]
        each = function(logits.float(), targets)
        return each.mean() if weight is None else (each * weight).mean()

    return smoothed
