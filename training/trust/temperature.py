"""Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", arXiv:1706.04599)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional

# Where every calibration image is answered right, ever colder is ever better, without an end; these are ends.
COLDEST, HOTTEST = 0.05, 20.0
STEPS = 100
DIGITS = 4


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> tuple[float, tuple[str, ...]]:
    """The T between COLDEST and HOTTEST with the least cross-entropy of logits / T, and remarks.

    Args:
        logits: (N, classes).
        labels: int64 (N,).

    Of all that divides the logits by one number this is the most probable; it changes no answer's most probable class.
    """
    logits = logits.double()
    low, high = math.log(COLDEST), math.log(HOTTEST)
    # log T = low + (high - low) * sigmoid(place): smooth, within the bounds, and T = 1 in the middle to begin with.
    place = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [place], max_iter=STEPS, tolerance_grad=1e-10, tolerance_change=1e-14, line_search_fn="strong_wolfe"
    )

    def temperature() -> torch.Tensor:
        return torch.exp(low + (high - low) * torch.sigmoid(place))

    def closure() -> torch.Tensor:
        optimiser.zero_grad()
        loss = functional.cross_entropy(logits / temperature(), labels)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    found = round(temperature().item(), DIGITS)
    if COLDEST * 1.1 < found < HOTTEST / 1.1:
        return found, ()
    words = "all right" if found < 1 else "no better than guessing"
    remark = f"the temperature is {found:g}, at its bound: the {len(labels)} calibration images are answered {words}"
    return found, (f"{remark}, so probabilities are not calibrated; more of them, and harder ones, would help",)
