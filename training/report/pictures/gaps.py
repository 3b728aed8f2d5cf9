"""gaps.png: the faithfulness of each method, compared with trivial maps."""

from __future__ import annotations

from pathlib import Path

from training.explanations.figures import ExplanationFigures
from training.report.style import BLUE, GRAY, INK, ORANGE, PALE, picture


def draw(path: Path, figures: ExplanationFigures, default: str) -> None:
    """Draw a bar with its 95 % interval for each method, best on top, and lines for the trivial maps."""
    methods = sorted(figures.methods, key=lambda method: method.gap.value)
    with picture(path, 7.5, 1.1 + 0.36 * len(methods)) as figure:
        axes = figure.subplots()
        for height, method in enumerate(methods):
            gap = method.gap
            color = BLUE if method.name == default else PALE if method.passes_checks else GRAY
            axes.barh(height, gap.value, color=color, height=0.7)
            axes.plot([gap.low, gap.high], [height, height], color=INK, lw=1.2)
        for mean, line_color, dashes, name in (
            (figures.random_gap, INK, ":", "random map"),
            (figures.center_gap, ORANGE, "--", "map of the center"),
        ):
            axes.axvline(mean.value, color=line_color, ls=dashes, lw=1.5, label=f"{name}, {mean.value:.3f}")
        axes.set_yticks(range(len(methods)), [method.name for method in methods])
        axes.grid(axis="y", visible=False)
        axes.set_xlabel("gap: insertion minus deletion, with 95 % intervals")
        figure.legend(loc="outside upper right", ncols=2, fontsize=8.5)
