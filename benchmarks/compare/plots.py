"""The pictures of docs/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from benchmarks.compare.results import Spread
from training.report.style import BLUE, GRAY, ORANGE, PALE, RED, logarithmic, picture

COLORS = {1: ORANGE, 2: BLUE}


def throughput(path: Path, points: Sequence[tuple[str, int, int, Spread]]) -> None:
    """Model, cores, workers and answers a second: a panel a model, a line for each number of cores."""
    models = list(dict.fromkeys(point[0] for point in points))
    with picture(path, 4 * len(models), 3) as figure:
        for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
            for cores in sorted({point[1] for point in points}):
                line = [(workers, rate) for name, used, workers, rate in points if (name, used) == (model, cores)]
                middle = [rate.median for _, rate in line]
                spread = [[rate.median - rate.least for _, rate in line], [rate.most - rate.median for _, rate in line]]
                label = f"{cores} core{'s' if cores > 1 else ''}"
                color = COLORS.get(cores, GRAY)
                axes.errorbar(
                    [workers for workers, _ in line], middle, spread, color=color, marker="o", capsize=3, label=label
                )
            axes.set(title=f"{model}: responses/s", xlabel="workers")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()


def latency(path: Path, loads: Sequence[tuple[float, float, float, float]]) -> None:
    """Offered and answered requests a second, and their median and 99th percentile in milliseconds."""
    offered = [load[0] for load in loads]
    with picture(path, 8, 3) as figure:
        left, right = figure.subplots(1, 2)
        left.plot(offered, [load[2] for load in loads], color=BLUE, marker="o", label="median")
        left.plot(offered, [load[3] for load in loads], color=RED, marker="o", label="99th percentile")
        left.set(title="Latency of accepted requests (ms)", xlabel="offered requests/s", yscale="log")
        logarithmic(left.yaxis)
        left.legend()
        right.plot(offered, offered, color=GRAY, ls="--", label="offered")
        right.plot(offered, [load[1] for load in loads], color=BLUE, marker="o", label="answered")
        right.fill_between(offered, [load[1] for load in loads], offered, color=PALE, label="refused")
        right.set(title="Responses/s", xlabel="offered requests/s")
        right.legend()


def memory(path: Path, held: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Bytes with 1, 2, 3 and more workers, a line a model."""
    with picture(path, 4, 3) as figure:
        axes = figure.subplots()
        for (model, values), color in zip(held, (BLUE, ORANGE), strict=False):
            axes.plot(
                range(1, len(values) + 1), [value / 1e6 for value in values], color=color, marker="o", label=model
            )
        axes.set(title="Memory of the whole server (MB)", xlabel="workers")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
