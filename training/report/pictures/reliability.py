"""reliability.png: whether a probability of 80 % is right 80 times in 100."""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.ticker import NullLocator

from handlers import uncertainty
from training.evaluate import Evaluation
from training.metrics.calibration import BINS, FEW, Bins, Quality, bins
from training.metrics.figures import Figures
from training.metrics.interval import share
from training.report.style import BLUE, GRAY, INK, ORANGE, PALE, logarithmic, picture


def draw(path: Path, test: Evaluation, figures: Figures) -> None:
    """Draw two diagrams, without and with the temperature; one if the card has no uncertainty."""
    before, after = uncertainty.probabilities(test.logits), test.probabilities
    panels: list[tuple[str, torch.Tensor, Quality]] = [("As served", after, figures.after)]
    if test.temperature != 1:
        title = f"After, divided by a temperature of {test.temperature:.3g}"
        panels = [("Before calibration", before, figures.before), (title, after, figures.after)]
    with picture(path, 4.6 * len(panels), 5.2) as figure:
        grid = figure.subplots(2, len(panels), squeeze=False, height_ratios=(3, 1), sharex=True)
        for column, (title, probabilities, quality) in enumerate(panels):
            binned = bins(probabilities, test.labels)
            _diagram(grid[0, column], binned)
            grid[0, column].set_title(f"{title}\nexpected calibration error {quality.ece:.4f}{_chance(quality)}")
            grid[1, column].bar(_middles(), binned.counts.numpy(), width=0.9 / BINS, color=GRAY)
            grid[1, column].set(yscale="log", ylim=(0.7, None), xlabel="probability of the prediction")
            grid[1, column].yaxis.set_minor_locator(NullLocator())
            logarithmic(grid[1, column].yaxis)
        grid[0, 0].set_ylabel("share that is right")
        grid[1, 0].set_ylabel("images")
        grid[0, 0].legend(loc="upper left")


def _chance(quality: Quality) -> str:
    return "" if quality.is_off else ", within chance"


def _middles() -> list[float]:
    return [(index + 0.5) / BINS for index in range(BINS)]


def _diagram(axes: Axes, binned: Bins) -> None:
    axes.plot((0, 1), (0, 1), color=INK, linewidth=1, linestyle="--")
    accuracy, confidence = binned.accuracy.nan_to_num(), binned.confidence.nan_to_num()
    colors = [BLUE if count >= FEW else PALE for count in binned.counts.tolist()]
    axes.bar(_middles(), accuracy.numpy(), width=0.9 / BINS, color=colors, label="right")
    gap = (confidence - accuracy).numpy()
    axes.bar(
        _middles(), gap, bottom=accuracy.numpy(), width=0.9 / BINS,
        facecolor="none", edgecolor=ORANGE, hatch="////", linewidth=1, label="gap to the probability",
    )  # fmt: skip
    for middle, count, right in zip(_middles(), binned.counts.tolist(), accuracy.tolist(), strict=True):
        if count:
            interval = share(round(right * count), count)
            axes.plot([middle, middle], [interval.low, interval.high], color=INK, linewidth=0.9)
    axes.set(xlim=(0, 1), ylim=(0, 1.001), aspect="auto")
