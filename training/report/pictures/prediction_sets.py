"""prediction_sets.png: sizes of the prediction sets, and their coverage by class."""

from __future__ import annotations

from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from training.metrics.figures import Figures
from training.metrics.interval import Share
from training.metrics.prediction_sets import PredictionSets
from training.report.style import BLUE, ORANGE, picture, short

# Bars that fit; of more classes those with the lowest coverage are drawn, of more sizes the largest share a bar.
MOST = 25


def draw(path: Path, figures: Figures, sets: PredictionSets) -> None:
    """Set sizes to the left, coverage by class to the right."""
    names = [entry.name for entry in figures.classes]
    covered = [(name, coverage) for name, coverage in zip(names, sets.classes, strict=True) if coverage]
    chosen = sorted(covered, key=lambda pair: pair[1].value)[:MOST] if len(covered) > MOST else covered
    with picture(path, 10, max(3.4, 1.2 + 0.22 * len(chosen))) as figure:
        sizes, classes = figure.subplots(1, 2)
        _sizes(sizes, sets, figures.images)
        _classes(classes, chosen, sets)
        which = f"the {MOST} lowest of {len(covered)} classes" if len(covered) > MOST else "by class"
        classes.set_title(f"Coverage, {which}")


def _sizes(axes: Axes, sets: PredictionSets, images: int) -> None:
    counts = [0] * min(sets.sizes[-1].size, MOST)
    for entry in sets.sizes:
        counts[min(entry.size, MOST) - 1] += entry.images
    drawn = axes.bar(range(1, len(counts) + 1), [100 * count / images for count in counts], color=BLUE)
    if len(counts) <= 12:
        axes.bar_label(drawn, [str(count) for count in counts], fontsize=8, padding=2)
    axes.set(xlabel=f"classes in the set{f', {MOST} or more in the last bar' if sets.sizes[-1].size > MOST else ''}")
    axes.set(ylabel="images (%)", xlim=(0.3, max(min(5, len(sets.classes)), len(counts)) + 0.7))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_title(f"Sizes: {sets.mean_size:.2f} classes on average")
    axes.grid(axis="x", visible=False)


def _classes(axes: Axes, chosen: list[tuple[str, Share]], sets: PredictionSets) -> None:
    positions = range(len(chosen))[::-1]
    axes.axvline(100 * sets.target, color=ORANGE, label=f"target {100 * sets.target:.3g} %")
    values = [100 * coverage.value for _, coverage in chosen]
    reach = [
        [100 * (coverage.value - coverage.low) for _, coverage in chosen],
        [100 * (coverage.high - coverage.value) for _, coverage in chosen],
    ]
    axes.errorbar(values, positions, xerr=reach, fmt="o", color=BLUE, markersize=5, elinewidth=1.2, capsize=2)
    axes.set_yticks(positions, [short(name) for name, _ in chosen])
    axes.set(xlabel="sets that contain the labeled class (%)", xlim=(min(40, *values) - 2 if values else 0, 102))
    axes.set_ylim(-0.7, len(chosen) - 0.3)
    axes.legend(loc="lower left", fontsize=8)
