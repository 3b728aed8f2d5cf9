"""GradientSHAP (Lundberg and Lee, arXiv 1705.07874), or expected gradients (Erion et al., arXiv 1906.10670)."""

from __future__ import annotations

import torch

from handlers.explain.methods.method import (
    AttributionInputs,
    Method,
    MethodSettings,
    StepRange,
    TargetScore,
    passes_per_step,
    rows_at_once,
)

SEED = 0


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Return the mean gradient at random points between baseline and image, times their difference.

    Returns:
        (N, 3, H, W). Costs `steps` forward and backward passes.
    """
    from captum.attr import Saliency

    images, baselines, weights = inputs.images, inputs.required_baselines, inputs.weights
    samples = settings.steps or 0
    generator = torch.Generator().manual_seed(SEED)
    # Stratified, antithetic sampling: one point in each of `samples` equal parts, every second point mirrored. This is
    # unbiased and far less noisy than independent points.
    offsets = torch.rand((samples + 1) // 2, generator=generator)
    offsets = torch.stack([offsets, 1 - offsets], dim=1).flatten()[:samples]
    positions = (torch.arange(samples) + offsets) / samples
    prefix = target_score.prefix
    start, end = prefix.features(baselines), prefix.features(images)
    slope = torch.zeros_like(end)
    for chunk in torch.split(positions.to(images), max(1, rows_at_once(images) // len(images))):
        points = torch.cat([torch.lerp(start, end, position) for position in chunk]).requires_grad_()
        slopes = Saliency(target_score.from_features).attribute(
            points, abs=False, additional_forward_args=weights.repeat(len(chunk), 1)
        )
        slope += slopes.view(len(chunk), *end.shape).sum(dim=0)
    return (images - baselines) * prefix.gradient(images, slope / samples)


METHOD = Method(
    name="gradshap",
    title="GradientSHAP",
    rank=50,
    attribute=attribute,
    passes=passes_per_step,
    steps=StepRange("samples", default=50, minimum=2, maximum=500),
    baseline="blur",
    complete=True,
)
