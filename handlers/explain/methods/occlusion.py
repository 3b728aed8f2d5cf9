"""Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", arXiv 1311.2901)."""

from __future__ import annotations

import math

import torch
from captum.attr import Occlusion

from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, rows_at_once

# Of a side: the window that is covered, and how far it moves. Windows along a side are 7 at most.
WINDOW, STRIDE = 4, 8
WINDOWS = 7 * 7


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """How much the number falls when a window of the image is covered with the baseline, averaged over windows.

    Returns:
        (N, 1, H, W). Costs 50 passes forward.
    """
    height, width = question.images.shape[2:]
    values: torch.Tensor = Occlusion(readout).attribute(
        question.images,
        baselines=question.baselines,
        additional_forward_args=question.weights,
        sliding_window_shapes=(3, math.ceil(height / WINDOW), math.ceil(width / WINDOW)),
        strides=(3, math.ceil(height / STRIDE), math.ceil(width / STRIDE)),
        perturbations_per_eval=max(1, rows_at_once(question.images) // len(question.images)),
    )
    return values[:, :1]


METHOD = Method(
    name="occlusion",
    title="Occlusion",
    attribute=attribute,
    passes=lambda settings: Passes(1 + WINDOWS, 0),
    baseline="blur",
)
