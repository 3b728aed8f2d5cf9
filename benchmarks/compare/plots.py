"""Plots of docs/benchmarks/performance.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.ticker import MaxNLocator

from benchmarks.compare.results import Spread
from training.report.style import BLUE, GRAY, ORANGE, PALE, RED, logarithmic, picture

COLORS_BY_CORES = {1: ORANGE, 2: BLUE}


def throughput(path: Path, points: Sequence[tuple[str, int, int, Spread]]) -> None:
    """Plot responses per second by workers: a panel per model, a line per number of cores.

    Args:
        path: file to write.
        points: model, cores, workers, responses per second.
    """
    models = list(dict.fromkeys(point[0] for point in points))
    with picture(path, 4 * len(models), 3) as figure:
        for axes, model in zip(figure.subplots(1, len(models), squeeze=False)[0], models, strict=True):
            for cores in sorted({point[1] for point in points}):
                line = [(workers, rate) for name, used, workers, rate in points if (name, used) == (model, cores)]
                medians = [rate.median for _, rate in line]
                below = [rate.median - rate.minimum for _, rate in line]
                above = [rate.maximum - rate.median for _, rate in line]
                label = f"{cores} core{'s' if cores > 1 else ''}"
                color = COLORS_BY_CORES.get(cores, GRAY)
                axes.errorbar(
                    [workers for workers, _ in line],
                    medians,
                    [below, above],
                    color=color,
                    marker="o",
                    capsize=3,
                    label=label,
                )
            axes.set(title=f"{model}: responses/s", xlabel="workers")
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.legend()


def latency(path: Path, loads: Sequence[tuple[float, float, float, float]]) -> None:
    """Plot latency and responses per second by offered load.

    Args:
        path: file to write.
        loads: offered and answered requests per second, median and 99th percentile in milliseconds.
    """
    offered = [load[0] for load in loads]
    with picture(path, 8, 3) as figure:
        latency_axes, rate_axes = figure.subplots(1, 2)
        latency_axes.plot(offered, [load[2] for load in loads], color=BLUE, marker="o", label="median")
        latency_axes.plot(offered, [load[3] for load in loads], color=RED, marker="o", label="99th percentile")
        latency_axes.set(title="Latency of accepted requests (ms)", xlabel="offered requests/s", yscale="log")
        logarithmic(latency_axes.yaxis)
        latency_axes.legend()
        rate_axes.plot(offered, offered, color=GRAY, ls="--", label="offered")
        rate_axes.plot(offered, [load[1] for load in loads], color=BLUE, marker="o", label="answered")
        rate_axes.fill_between(offered, [load[1] for load in loads], offered, color=PALE, label="refused")
        rate_axes.set(title="Responses/s", xlabel="offered requests/s")
        rate_axes.legend()


def memory(path: Path, models: Sequence[tuple[str, Sequence[float]]]) -> None:
    """Plot memory by workers, a line per model.

    Args:
        path: file to write.
        models: name, and bytes with 1, 2, 3 and more workers.
    """
    with picture(path, 4, 3) as figure:
        axes = figure.subplots()
        for (model, values), color in zip(models, (BLUE, ORANGE), strict=False):
            axes.plot(
                range(1, len(values) + 1), [value / 1e6 for value in values], color=color, marker="o", label=model
            )
        axes.set(title="Memory of the whole server (MB)", xlabel="workers")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend()
