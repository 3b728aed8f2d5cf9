"""Measured time of passes through the network on this machine, to estimate whether a method fits a deadline."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

import torch

from handlers.explain.methods.method import Passes, TargetScore
from handlers.explain.methods.row_limit import MAX_ROWS, rows_at_once

BUDGET = 2.0  # seconds for the measurement, approximately
RUNS = 5
HISTORY = 64  # explanations per method
QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class Pass:
    """Seconds of a pass: `fixed` seconds for each pass, and `row` seconds for each row."""

    fixed: float
    row: float

    def seconds(self, rows: int) -> float:
        """Return the seconds for this number of rows, MAX_ROWS in one pass."""
        return self.fixed * math.ceil(rows / MAX_ROWS) + self.row * rows


@dataclass(slots=True)
class Costs:
    """Cost of passes, measured at load and corrected by the time that explanations took.

    Attributes:
        forward: a forward pass without gradients.
        both: a forward and a backward pass.
        ratios: for each method, actual time divided by the time predicted from its passes, of the last explanations.
        first: the first ratio of each method.
    """

    forward: Pass
    both: Pass
    ratios: dict[str, deque[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)

    @classmethod
    def measure(cls, target_score: TargetScore, size: int, classes: int) -> Costs:
        """Run blank images of `size` pixels through the network; takes about two seconds at most."""
        device = next((parameter.device for parameter in target_score.parameters()), torch.device("cpu"))

        def run(rows: int, *, backward: bool) -> None:
            images = torch.zeros(rows, 3, size, size, device=device, requires_grad=backward)
            weights = torch.full((rows, classes), 1 / classes, device=device)
            with torch.inference_mode(False), torch.set_grad_enabled(backward):
                total = target_score(images, weights).sum()
                (torch.autograd.grad(total, images)[0].sum() if backward else total).item()  # waits for the GPU

        max_rows = rows_at_once(torch.empty(1, 3, size, size, device="meta"))
        return cls(_line(partial(run, backward=False), max_rows), _line(partial(run, backward=True), max_rows))

    def seconds(self, passes: Passes, images: int, method: str = "") -> float:
        """Predict the seconds for this number of images, at the recent speed of this method."""
        backward, forward = passes.backward, passes.forward - passes.backward
        return (self.both.seconds(backward * images) + self.forward.seconds(forward * images)) * self.factor_of(method)

    def factor_of(self, method: str) -> float:
        """Return the factor of `seconds`: the 90th percentile of the method's ratios, or of all if it has none."""
        return _quantile(self.ratios[method]) if method in self.ratios else self.factor

    @property
    def factor(self) -> float:
        """Return the 90th percentile of all ratios, or 1 if there are none: the current slowness of this machine."""
        return _quantile([ratio for ratios in self.ratios.values() for ratio in ratios])

    def observe(self, predicted: float, actual: float, method: str = "") -> None:
        """Record that a method took `actual` seconds, and that `seconds` predicted `predicted`.

        The first ratio fills half of the history, so that one slow explanation later has little effect.
        """
        if predicted > 0:
            ratio = actual / predicted * self.factor_of(method)
            if method not in self.ratios:
                self.first[method] = ratio
                self.ratios[method] = deque([ratio] * (HISTORY // 2), maxlen=HISTORY)
            self.ratios[method].append(ratio)

    def relax(self, method: str) -> None:
        """Move a method's ratios toward the first one after it was passed over, so that it is tried again."""
        if method in self.ratios:
            self.ratios[method].append(self.first[method])


def _quantile(ratios: Collection[float]) -> float:
    ranked = sorted(ratios)
    return ranked[min(len(ranked) - 1, int(QUANTILE * len(ranked)))] if ranked else 1.0


def _line(run: Callable[[int], None], max_rows: int) -> Pass:
    """Fit fixed and row seconds: time one row, and as many rows as fit in half of the budget, at most `max_rows`."""
    run(1)  # warm up
    budget = BUDGET / 2
    single = _median(run, 1, budget / 4)
    rows = min(max_rows, int(budget / 4 / single))
    if rows < 2:
        return Pass(0.0, single)
    many = _median(run, rows, budget / 2)
    row = min(single, max(0.0, many - single) / (rows - 1))
    return Pass(single - row, row)


def _median(run: Callable[[int], None], rows: int, budget: float) -> float:
    """Return the median seconds of at most RUNS runs; no run starts after the budget is spent."""
    times: list[float] = []
    while not times or (len(times) < RUNS and sum(times) < budget):
        start = time.perf_counter()
        run(rows)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
