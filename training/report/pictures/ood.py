"""ood.png: scores of OOD detection, and its ROC curve."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from torchmetrics.functional import classification

from training.metrics.ood_detection import OodData, OodDetection, stacked
from training.report.style import BLUE, GRAY, INK, ORANGE, logarithmic, picture, short


def draw(path: Path, own: torch.Tensor, ood_detection: OodDetection, ood_data: OodData | None) -> None:
    """Draw the scores of both data sets, and the ROC curve with the card's threshold."""
    with picture(path, 10 if ood_data else 6, 3.6) as figure:
        panels = figure.subplots(1, 2 if ood_data else 1, squeeze=False)[0]
        _histogram(panels[0], own.numpy(), ood_detection, ood_data)
        if ood_data:
            _roc(panels[1], own, ood_detection, ood_data)


def _histogram(axes: Axes, own: np.ndarray, ood_detection: OodDetection, ood_data: OodData | None) -> None:
    ood_scores = ood_data.scores.numpy() if ood_data else own[:0]
    scores = np.concatenate([own, ood_scores, [ood_detection.threshold]])
    low, high = np.quantile(scores, (0.001, 0.999))
    # Distances may differ by powers of ten; energies are below zero and do not.
    wide = low > 0 and high > 20 * low
    edges = np.geomspace(low, high, 51) if wide else np.linspace(low, high or 1, 51)
    for values, color, name in (
        (own, BLUE, "the test images"),
        (ood_scores, ORANGE, ood_data.name if ood_data else ""),
    ):
        if len(values):
            weights = np.full(len(values), 100 / len(values))
            axes.hist(
                values.clip(low, high), edges.tolist(), weights=weights, color=color, alpha=0.65, label=short(name, 30)
            )
    # The line ends below the legend.
    axes.axvline(
        ood_detection.threshold, ymax=0.74, color=INK, linewidth=1.3, linestyle="--", label="the card's threshold"
    )
    axes.set(
        xlabel="OOD score (1: 95 % quantile of the calibration images)",
        ylabel="images (%)",
        xscale="log" if wide else "linear",
    )
    if wide:
        logarithmic(axes.xaxis)
    axes.set_title("OOD scores")
    axes.set_ylim(top=1.35 * axes.get_ylim()[1])  # room for the legend
    axes.legend(fontsize=8, loc="upper left")


def _roc(axes: Axes, own: torch.Tensor, ood_detection: OodDetection, ood_data: OodData) -> None:
    assert ood_detection.detected is not None
    false, true, _ = classification.binary_roc(*stacked(own, ood_data.scores))
    axes.plot((0, 100), (0, 100), color=GRAY, linewidth=1, linestyle="--")
    axes.plot(
        100 * false.numpy(), 100 * true.numpy(), color=BLUE, label=f"area under the curve {ood_detection.auroc:.4f}"
    )
    at = (100 * ood_detection.false_positive_rate.value, 100 * ood_detection.detected.value)
    axes.plot(*at, "o", color=INK, markersize=7, label=f"the card's threshold: {at[1]:.1f} % at {at[0]:.1f} %")
    axes.set(
        xlabel="false positive rate: test images above the threshold (%)",
        ylabel="detected (%)",
        xlim=(-2, 102),
        ylim=(-2, 103),
    )
    axes.set_title(f"ROC against {short(ood_data.name, 40)}")
    axes.legend(loc="lower right", fontsize=8)
