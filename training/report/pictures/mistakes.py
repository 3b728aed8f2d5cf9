"""mistakes.png: the wrong answers that the model was surest of."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from handlers.modalities.image import images
from training.data.dataset import Split
from training.evaluate import Evaluation
from training.report.style import RED, picture, plain, short
from training.report.words import percent

MOST, COLUMNS = 24, 6


def worst(test: Evaluation, max_images: int = MOST) -> list[int]:
    """Return the indices of the wrong predictions, the most probable first."""
    top = test.probabilities.amax(dim=1).masked_fill(test.right, -1)
    values, indices = top.sort(descending=True, stable=True)
    return [
        index
        for index, value in zip(indices[:max_images].tolist(), values[:max_images].tolist(), strict=True)
        if value >= 0
    ]


def draw(path: Path, test: Evaluation, pictures: Split) -> None:
    """Draw a grid of the network's inputs, each with label, predicted class, probability and name."""
    indices = worst(test)
    rows = max(1, -(-len(indices) // COLUMNS))
    with picture(path, 1.85 * COLUMNS, 2.55 * rows if indices else 1) as figure:
        grid = figure.subplots(rows, COLUMNS, squeeze=False).flatten()
        for axes in grid:
            plain(axes)
        if not indices:
            figure.text(0.5, 0.5, f"no mistake among {len(test)} images", ha="center", va="center")
        top = test.probabilities.amax(dim=1).tolist()
        classes, spec = test.card.classes, test.card.input
        for axes, index in zip(grid, indices, strict=False):
            seen = images.view(images.picture(pictures.images[index], spec), spec).image
            axes.imshow(np.asarray(seen), interpolation="nearest" if max(seen.size) < 128 else "antialiased")
            labeled, answered = classes[pictures.labels[index]], classes[int(test.answered[index])]
            axes.set_title(f"{short(answered, 20)}\n{percent(top[index])}", color=RED, loc="center", pad=4)
            axes.set_xlabel(f"labeled {short(labeled, 18)}\n{short(pictures.name(index), 28)}", fontsize=7.5)
