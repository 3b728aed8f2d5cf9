"""curves.png: how training went, epoch by epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from training.loop.history import Epoch
from training.report.style import BLUE, GREEN, ORANGE, logarithmic, picture


def draw(path: Path, history: Sequence[Epoch]) -> None:
    """Loss, accuracy and learning rate."""
    numbers = range(1, len(history) + 1)
    mark = "o" if len(history) < 4 else ""  # one epoch is a point, not a line
    with picture(path, 10, 3.3) as figure:
        loss, accuracy, rate = figure.subplots(1, 3)
        loss.plot(
            numbers,
            [epoch.train_loss for epoch in history],
            color=BLUE,
            ls="--",
            marker=mark,
            label="training",
        )
        loss.plot(
            numbers,
            [epoch.calibration_loss for epoch in history],
            color=ORANGE,
            marker=mark,
            label="calibration",
        )
        loss.set(title="Loss (logarithmic)", yscale="log")
        for values, color, line in (
            ([100 * epoch.train_accuracy for epoch in history], BLUE, "--"),
            ([100 * epoch.calibration_accuracy for epoch in history], ORANGE, "-"),
        ):
            accuracy.plot(numbers, values, color=color, ls=line, marker=mark)
        accuracy.set_title("Accuracy (%)")
        rate.plot(numbers, [epoch.learning_rate for epoch in history], color=GREEN, marker=mark)
        rate.set_title("Learning rate")
        rate.set_ylim(bottom=0)
        for axes in (loss, accuracy, rate):
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        logarithmic(loss.yaxis)
        loss.legend()
