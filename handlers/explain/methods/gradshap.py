"""GradientSHAP (Lundberg and Lee, arXiv 1705.07874), or expected gradients (Erion et al., arXiv 1906.10670)."""

from __future__ import annotations

import torch
from captum.attr import Saliency

from handlers.explain.methods.method import Method, Passes, Question, Readout, Settings, Steps, rows_at_once

SEED = 0


def attribute(readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """The mean gradient at random points between baseline and image, times their difference.

    Returns:
        (N, 3, H, W). Costs `steps` passes forward and back.
    """
    images, baselines, weights = question.images, question.baselines, question.weights
    if baselines is None:
        raise ValueError("GradientSHAP starts from a baseline, and the question has none")
    samples = settings.steps or 0
    generator = torch.Generator().manual_seed(SEED)
    # One point in each of as many equal parts of the way, each second one at the mirrored place: unbiased as any, and
    # far less noisy.
    drawn = torch.rand((samples + 1) // 2, generator=generator)
    places = torch.stack([drawn, 1 - drawn], dim=1).flatten()[:samples]
    along = (torch.arange(samples) + places) / samples
    stem = readout.stem
    start, end = stem.features(baselines), stem.features(images)
    slope = torch.zeros_like(end)
    for some in torch.split(along.to(images), max(1, rows_at_once(images) // len(images))):
        points = torch.cat([torch.lerp(start, end, place) for place in some]).requires_grad_()
        slopes = Saliency(readout.rest).attribute(
            points, abs=False, additional_forward_args=weights.repeat(len(some), 1)
        )
        slope += slopes.view(len(some), *end.shape).sum(dim=0)
    return (images - baselines) * stem.back(images, slope / samples)


def passes(settings: Settings) -> Passes:
    """Each sample is one pass forward and back."""
    steps = settings.steps or 0
    return Passes(steps, steps)


METHOD = Method(
    name="gradshap",
    title="GradientSHAP",
    attribute=attribute,
    passes=passes,
    steps=Steps("samples", default=50, least=2, most=500),
    baseline="blur",
    complete=True,
)
