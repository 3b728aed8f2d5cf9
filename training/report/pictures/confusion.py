"""confusion.png: the confusion matrix."""

from __future__ import annotations

from pathlib import Path

import torch

from training.metrics.figures import Figures
from training.report.style import BLUE, INK, picture, short

# More classes than can be told apart in a square; then the pairs that are confused most are drawn.
MAX_CLASSES = 60
MAX_NUMBERS = 20
PAIRS = 30


def draw(path: Path, figures: Figures) -> None:
    """Draw the whole matrix, or the most confused pairs if there are too many classes."""
    if len(figures.classes) <= MAX_CLASSES:
        _matrix(path, figures)
    else:
        _pairs(path, figures)


def pairs(figures: Figures, max_pairs: int = PAIRS) -> list[tuple[str, str, int, int]]:
    """Labeled, answered, how often, of how many: the most frequent mistakes first."""
    counts = torch.tensor(figures.confusion).fill_diagonal_(0)
    values, positions = counts.flatten().sort(descending=True, stable=True)
    cells = [divmod(position, len(counts)) for position in positions[:max_pairs].tolist()]
    names = [entry.name for entry in figures.classes]
    return [
        (names[row], names[column], count, figures.classes[row].images)
        for (row, column), count in zip(cells, values[:max_pairs].tolist(), strict=True)
        if count
    ]


def _matrix(path: Path, figures: Figures) -> None:
    counts = torch.tensor(figures.confusion)
    names = [short(entry.name) for entry in figures.classes]
    side = max(4.2, min(2.2 + 0.38 * len(names), 12))
    with picture(path, side + 0.6, side) as figure:
        axes = figure.subplots()
        shares = counts / counts.sum(dim=1, keepdim=True).clamp(min=1)
        # A root: of a good model nearly all is on the diagonal, and the rest would be white on white.
        axes.imshow(shares.sqrt().numpy(), cmap="Blues", vmin=0, vmax=1)
        axes.set(xticks=range(len(names)), yticks=range(len(names)), xlabel="predicted", ylabel="labeled")
        size = 9 if len(names) <= 25 else 6
        crowded = max(map(len, names)) * len(names) > 9 * side
        axes.set_xticklabels(names, rotation=90 if crowded else 0, fontsize=size)
        axes.set_yticklabels(names, fontsize=size)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        if len(names) <= MAX_NUMBERS:
            for row, column in counts.nonzero().tolist():
                color = "white" if shares[row, column] > 0.35 else INK
                size = 9 if len(names) <= 12 else 7
                axes.text(column, row, f"{counts[row, column]}", ha="center", va="center", color=color, fontsize=size)


def _pairs(path: Path, figures: Figures) -> None:
    confused = pairs(figures)[::-1]
    with picture(path, 8, max(2.0, 0.9 + 0.24 * len(confused))) as figure:
        axes = figure.subplots()
        axes.barh(range(len(confused)), [count for _, _, count, _ in confused], color=BLUE)
        axes.set_yticks(
            range(len(confused)), [f"{short(labeled)}  →  {short(answered)}" for labeled, answered, _, _ in confused]
        )
        for row, (_, _, count, images) in enumerate(confused):
            axes.text(count, row, f" {count} of {images}", va="center", fontsize=8)
        axes.grid(axis="y", visible=False)
        axes.margins(x=0.12, y=0.01)
        axes.set_title(f"The most confused pairs of {len(figures.classes)} classes")
        axes.set_xlabel("images labeled with the first class and predicted as the second")
        if not confused:
            axes.set(xticks=[], xlabel="there is no mistake")
