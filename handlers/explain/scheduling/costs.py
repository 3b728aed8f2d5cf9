"""What passes through the network take on this machine, so that a deadline can be kept."""

from __future__ import annotations

import math
import statistics
import time
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial

import torch

from handlers.explain.methods.method import MAX_ROWS, Passes, Readout, rows_at_once

BUDGET = 2.0  # seconds that measuring may take, about
RUNS = 5
REMEMBERED = 64  # answers
QUANTILE = 0.9


@dataclass(frozen=True, slots=True)
class Pass:
    """Seconds of a pass: `fixed` ones each time, whatever the rows, and `row` for each row."""

    fixed: float
    row: float

    def seconds(self, rows: int) -> float:
        """Of so many rows, MAX_ROWS at once."""
        return self.fixed * math.ceil(rows / MAX_ROWS) + self.row * rows


@dataclass(slots=True)
class Costs:
    """What passes take, measured at load, and corrected by what answers took.

    Attributes:
        forward: a pass whose way back is not wanted.
        both: a pass forward and back.
        ratios: by method, of its last answers, what they took by what was predicted from the passes alone.
        first: of these, what each method began with.
    """

    forward: Pass
    both: Pass
    ratios: dict[str, deque[float]] = field(default_factory=dict)
    first: dict[str, float] = field(default_factory=dict)

    @classmethod
    def measure(cls, readout: Readout, size: int, classes: int) -> Costs:
        """Run blank images of `size` pixels through a network of so many classes; takes some two seconds at most."""
        device = next((parameter.device for parameter in readout.parameters()), torch.device("cpu"))

        def run(rows: int, *, back: bool) -> None:
            images = torch.zeros(rows, 3, size, size, device=device, requires_grad=back)
            weights = torch.full((rows, classes), 1 / classes, device=device)
            with torch.inference_mode(False), torch.set_grad_enabled(back):
                total = readout(images, weights).sum()
                (torch.autograd.grad(total, images)[0].sum() if back else total).item()  # waits for a GPU, too

        most = rows_at_once(torch.empty(1, 3, size, size, device="meta"))
        return cls(_line(partial(run, back=False), most), _line(partial(run, back=True), most))

    def seconds(self, passes: Passes, images: int, method: str = "") -> float:
        """How long passes for so many images will take, as slow as answers by this method were lately."""
        back, forward = passes.backward, passes.forward - passes.backward
        return (self.both.seconds(back * images) + self.forward.seconds(forward * images)) * self.factor_of(method)

    def factor_of(self, method: str) -> float:
        """What `seconds` multiplies by: the 90th percentile of the method's ratios, or of all where it has none yet."""
        return _quantile(self.ratios[method]) if method in self.ratios else self.factor

    @property
    def factor(self) -> float:
        """The 90th percentile of all ratios, or 1 where there are none: how slow this machine is now."""
        return _quantile([ratio for ratios in self.ratios.values() for ratio in ratios])

    def observe(self, predicted: float, actual: float, method: str = "") -> None:
        """Take note that what `seconds` has just predicted for a method took `actual` seconds.

        The first one counts as half of what is remembered, so that a single slow answer later is no reason for fear.
        """
        if predicted > 0:
            ratio = actual / predicted * self.factor_of(method)
            if method not in self.ratios:
                self.first[method] = ratio
                self.ratios[method] = deque([ratio] * (REMEMBERED // 2), maxlen=REMEMBERED)
            self.ratios[method].append(ratio)

    def relax(self, method: str) -> None:
        """Doubt what was learnt of a method that was not tried because of it, lest it is never tried again."""
        if method in self.ratios:
            self.ratios[method].append(self.first[method])


def _quantile(ratios: Collection[float]) -> float:
    ranked = sorted(ratios)
    return ranked[min(len(ranked) - 1, int(QUANTILE * len(ranked)))] if ranked else 1.0


def _line(run: Callable[[int], None], most: int) -> Pass:
    """Time one row, and as many as go into a part of the budget, at most `most`."""
    run(1)  # the first one sets things up
    budget = BUDGET / 2
    single = _median(run, 1, budget / 4)
    rows = min(most, int(budget / 4 / single))
    if rows < 2:
        return Pass(0.0, single)
    many = _median(run, rows, budget / 2)
    row = min(single, max(0.0, many - single) / (rows - 1))
    return Pass(single - row, row)


def _median(run: Callable[[int], None], rows: int, budget: float) -> float:
    """Seconds of a run, the median of at most RUNS, of which none begins after the budget."""
    times: list[float] = []
    while not times or (len(times) < RUNS and sum(times) < budget):
        start = time.perf_counter()
        run(rows)
        times.append(time.perf_counter() - start)
    return statistics.median(times)
