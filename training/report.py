"""What training came to, as figures and pictures, in the release's `report/`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

from training.evaluate import Evaluation
from training.loop import Epoch, Settings


def write(folder: Path, settings: Settings, history: list[Epoch], test: Evaluation, classes: tuple[str, ...]) -> None:
    """Write metrics.json, curves.png and confusion.png into `folder`, which is made."""
    folder.mkdir()
    document = {
        "accuracy": test.accuracy,
        "loss": test.loss,
        "confusion": test.confusion.tolist(),
        "settings": asdict(settings),
        "epochs": [asdict(epoch) for epoch in history],
    }
    (folder / "metrics.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    _curves(folder / "curves.png", history)
    _confusion(folder / "confusion.png", test, classes)


def _curves(path: Path, history: list[Epoch]) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    numbers = range(1, len(history) + 1)
    for split, style in (("train", "--"), ("calibration", "-")):
        left.plot(numbers, [getattr(epoch, f"{split}_loss") for epoch in history], style, label=split)
        right.plot(numbers, [100 * getattr(epoch, f"{split}_accuracy") for epoch in history], style, label=split)
    left.set(xlabel="epoch", ylabel="cross-entropy (nats)", yscale="log")
    right.set(xlabel="epoch", ylabel="accuracy (%)")
    right.legend(frameon=False)
    figure.savefig(path, dpi=120)
    plt.close(figure)


def _confusion(path: Path, test: Evaluation, classes: tuple[str, ...]) -> None:
    side = min(3 + 0.35 * len(classes), 20)
    figure, axes = plt.subplots(figsize=(side, side), layout="constrained")
    shares = test.confusion / test.confusion.sum(dim=1, keepdim=True).clamp(min=1)
    axes.imshow(shares.numpy(), cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(classes)), yticks=range(len(classes)), xlabel="answered", ylabel="labelled")
    axes.set_xticklabels(classes, rotation=0 if len(max(classes, key=len)) < 4 else 90)
    axes.set_yticklabels(classes)
    axes.set_title(f"test accuracy {test.accuracy:.2%}")
    if len(classes) <= 20:
        for row, counts in enumerate(test.confusion.tolist()):
            for column, count in enumerate(counts):
                if count:
                    colour = "white" if shares[row, column] > 0.5 else "black"
                    axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=8)
    figure.savefig(path, dpi=120)
    plt.close(figure)
