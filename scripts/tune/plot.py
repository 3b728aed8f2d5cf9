"""tuning.png: throughput against latency, for all measurements."""

from __future__ import annotations

import math
from pathlib import Path

from matplotlib.axes import Axes

from serving.tune.search import Point, Result
from serving.tune.settings import WorkerSettings
from training.report.style import BLUE, GRAY, ORANGE, PALE, RED, logarithmic, picture


def draw(path: Path, result: Result, title: str, budget_ms: float | None) -> None:
    """Draw each settings value with each number of clients as a point; up and to the left is better."""
    with picture(path, 8, 4.4) as figure:
        axes = figure.subplots()
        points = [point for point in result.points if point.rate and math.isfinite(point.latency(0.99))]
        sound = [point for point in points if not point.errors]
        default, chosen = result.default.settings, result.chosen.settings
        other_points = [point for point in sound if point.settings not in (default, chosen)]
        _dots(axes, other_points, color=PALE, label="other settings that were tried")
        if len(sound) < len(points):
            wrong = [point for point in points if point.errors]
            _dots(axes, wrong, color=RED, marker="x", label="some answers were errors")
        _curve(axes, result, default, GRAY, f"default: {_short(default)}")
        if chosen != default:
            _curve(axes, result, chosen, BLUE, f"chosen: {_short(chosen)}")
        at = result.chosen
        axes.plot(at.latency(0.99), at.rate, "o", ms=13, mfc="none", mec=BLUE, mew=1.6, label="where it was chosen")
        if budget_ms is not None:
            axes.axvline(budget_ms, color=ORANGE, ls="--", label=f"budget: p99 within {budget_ms:g} ms")
        axes.set(title=title, xscale="log", xlabel="99 of 100 answers come within (ms)", ylabel="requests a second")
        axes.set_ylim(bottom=0)
        axes.margins(x=0.08)
        logarithmic(axes.xaxis)
        figure.legend(loc="outside lower left", ncols=2, fontsize=8)


def _dots(axes: Axes, points: list[Point], color: str, label: str, marker: str = "o") -> None:
    axes.plot([p.latency(0.99) for p in points], [p.rate for p in points], marker, ms=4.5, color=color, label=label)


def _curve(axes: Axes, result: Result, settings: WorkerSettings, color: str, label: str) -> None:
    """Draw the points of one settings value, labeled with the number of clients; of several, the last one."""
    by_clients = {p.clients: p for p in result.points if p.settings == settings and not p.errors}
    points = [by_clients[clients] for clients in sorted(by_clients)]
    axes.plot([p.latency(0.99) for p in points], [p.rate for p in points], "o-", ms=5, color=color, label=label)
    for point in points:
        axes.annotate(
            f"{point.clients}",
            (point.latency(0.99), point.rate),
            xytext=(0, 7 if color == BLUE else -13),
            textcoords="offset points",
            ha="center",
            fontsize=7.5,
            color=color,
        )


def _short(settings: WorkerSettings) -> str:
    return (
        f"workers {settings.workers}, threads {settings.threads}, batchSize {settings.batch_size}, "
        f"maxBatchDelay {settings.delay_ms}"
    )
