"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

# Bounds of the temperature; trained networks are within them.
COLDEST, HOTTEST = 0.05, 20.0
STEPS = 100
DIGITS = 4


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, tuple[str, ...]]:
    """Return the T between COLDEST and HOTTEST with the lowest cross-entropy of logits / T, and remarks.

    If every calibration image is predicted correctly, plain labels would give T = 0, and the first mistake would cost
    hundreds of nats. So targets are as in Platt 1999 ("Probabilistic Outputs for Support Vector Machines"), for C
    classes: (N + 1) / (N + C) for the right one, 1 / (N + C) for each other, as sure as N images can make it.

    Args:
        logits: (N, classes).
        labels: int64 (N,).
    """
    logits = logits.double()
    count, classes = logits.shape
    targets = (functional.one_hot(labels, classes).double() * count + 1) / (count + classes)
    low, high = math.log(COLDEST), math.log(HOTTEST)
    # log T = low + (high - low) * sigmoid(parameter): smooth, within the bounds, and T = 1 in the middle to begin with.
    parameter = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [parameter], max_iter=STEPS, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def temperature() -> torch.Tensor:
        return torch.exp(low + (high - low) * torch.sigmoid(parameter))

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = functional.cross_entropy(logits / temperature(), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    fitted = round(temperature().item(), DIGITS)
    if COLDEST * 1.1 < fitted < HOTTEST / 1.1:
        return fitted, ()
    size = "small" if fitted < 1 else "large"
    return fitted, (
        f"the temperature is {fitted:g}, at its bound: the network's logits are too {size} for the {len(labels)} "
        "calibration images, and probabilities are not calibrated",
    )
