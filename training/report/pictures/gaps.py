"""gaps.png: the faithfulness of each method, beside maps that never looked at the model."""

from __future__ import annotations

from pathlib import Path

from training.explanations.figures import Measured
from training.report.style import BLUE, GRAY, INK, ORANGE, PALE, picture


def draw(path: Path, measured: Measured, chosen: str) -> None:
    """A bar for each method with its 95 % interval, the best on top; lines for a random map and one of the center."""
    methods = sorted(measured.methods, key=lambda one: one.gap.value)
    with picture(path, 7.5, 1.1 + 0.36 * len(methods)) as figure:
        axes = figure.subplots()
        for place, one in enumerate(methods):
            gap = one.gap
            axes.barh(place, gap.value, color=BLUE if one.name == chosen else PALE if one.sound else GRAY, height=0.7)
            axes.plot([gap.low, gap.high], [place, place], color=INK, lw=1.2)
        for mean, color, dashes, name in (
            (measured.random, INK, ":", "random map"),
            (measured.center, ORANGE, "--", "map of the center"),
        ):
            axes.axvline(mean.value, color=color, ls=dashes, lw=1.5, label=f"{name}, {mean.value:.3f}")
        axes.set_yticks(range(len(methods)), [one.name for one in methods])
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("gap: insertion minus deletion, with 95 % intervals")
        figure.legend(loc="outside upper right", ncols=2, fontsize=8.5)
