"""Occlusion (Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", arXiv 1311.2901)."""

from __future__ import annotations

import math

import torch

from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, Passes, TargetScore
from handlers.explain.methods.row_limit import rows_at_once

# The side of a window is a WINDOW-th of the image's side, and it moves by a STRIDE-th: at most 7 windows along a side.
WINDOW, STRIDE = 4, 8
WINDOWS = 7 * 7


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Measure how much the score falls if a window shows the baseline; average over the windows of each pixel.

    Returns:
        (N, 1, H, W). Costs 50 forward passes.
    """
    from captum.attr import Occlusion

    height, width = inputs.images.shape[2:]
    values: torch.Tensor = Occlusion(target_score).attribute(
        inputs.images,
        baselines=inputs.baselines,
        additional_forward_args=inputs.weights,
        sliding_window_shapes=(3, math.ceil(height / WINDOW), math.ceil(width / WINDOW)),
        strides=(3, math.ceil(height / STRIDE), math.ceil(width / STRIDE)),
        perturbations_per_eval=max(1, rows_at_once(inputs.images) // len(inputs.images)),
    )
    return values[:, :1]


METHOD = Method(
    name="occlusion",
    title="Occlusion",
    rank=30,
    attribute=attribute,
    passes=lambda settings: Passes(1 + WINDOWS, 0),
    baseline="blur",
)
