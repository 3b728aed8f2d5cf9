"""Integrated Gradients (Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", arXiv 1703.01365)."""

from __future__ import annotations

import torch
from captum.attr import IntegratedGradients

from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, Steps, rows_at_once


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """Integrate the number's gradient along the straight line from the baseline to the image.

    Returns:
        (N, 3, H, W). Costs `steps` passes forward and back.
    """
    images, baselines, stem = question.images, question.baselines, readout.stem
    if baselines is None:
        raise ValueError("Integrated Gradients start from a baseline, and the question has none")
    # Behind ReLUs the gradient jumps along the way. The midpoint rule then adds up better than Gauss-Legendre, which
    # wants it smooth.
    slopes: torch.Tensor = IntegratedGradients(readout.rest, multiply_by_inputs=False).attribute(
        stem.features(images),
        stem.features(baselines),
        additional_forward_args=question.weights,
        n_steps=settings.steps,
        method="riemann_middle",
        internal_batch_size=max(rows_at_once(images), len(images)),
    )
    return (images - baselines) * stem.back(images, slopes)


def passes(settings: Settings) -> Passes:
    """Each step is one pass forward and back."""
    steps = settings.steps or 0
    return Passes(steps, steps)


# A blurred baseline keeps color and brightness, so that the map shows what the detail adds; on CIFAR-10 it was more
# faithful than a mean or black one.
METHOD = Method(
    name="ig",
    title="Integrated Gradients",
    attribute=attribute,
    passes=passes,
    steps=Steps("steps", default=50, least=2, most=200),
    baseline="blur",
    smooths=True,
    complete=True,
)
