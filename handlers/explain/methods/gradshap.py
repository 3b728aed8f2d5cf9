"""GradientSHAP: expected gradients (Erion et al., arXiv 1906.10670), which extend Integrated Gradients.

The values are the mean of Integrated Gradients over many baselines: training images. They need no single image without
information, which a blurred copy or one color only imitates. They sum to the score of the image minus the mean score of
the baselines.
"""

from __future__ import annotations

import torch

from handlers.explain.methods.baselines import TRAINING_IMAGES
from handlers.explain.methods.method import (
    AttributionInputs,
    Method,
    MethodSettings,
    StepRange,
    TargetScore,
    passes_per_step,
)
from handlers.explain.methods.row_limit import rows_at_once

SEED = 0


def attribute(target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings) -> torch.Tensor:
    """Return the mean gradient on the lines from training images to the image, times their difference.

    Returns:
        (N, 3, H, W). Costs `steps` forward and backward passes, or fewer if the release has fewer training images.
    """
    images, weights, prefix = inputs.images, inputs.weights, target_score.prefix
    background = inputs.required_background.images
    count, total = len(images), torch.zeros_like(images)
    places = positions(len(background), (settings.steps or 0) // len(background)).to(images)
    end, rows = prefix.features(images)[:, None, None], max(1, rows_at_once(images) // count)
    group = max(1, rows // places.shape[1])
    for bases, lines in zip(torch.split(background, group), torch.split(places, group), strict=True):
        start = prefix.features(bases)[None, :, None]
        slope = start.new_zeros(count, len(bases), *start.shape[3:])
        for part in torch.split(lines, max(1, rows // len(bases)), dim=1):
            points = torch.lerp(start, end, part.view(1, *part.shape, *[1] * (end.ndim - 3)))
            shape, points = points.shape, points.flatten(0, 2).requires_grad_()
            scores = target_score.from_features(points, weights.repeat_interleave(part.numel(), dim=0))
            slope = slope + torch.autograd.grad(scores.sum(), points)[0].view(shape).sum(dim=2)
        difference = (images[:, None] - bases).flatten(0, 1)
        gradient = prefix.gradient(difference, slope.flatten(0, 1)) / places.shape[1]
        total = total + (difference * gradient).view(count, len(bases), *images.shape[1:]).sum(dim=1)
    return total / len(background)


def positions(baselines: int, points: int) -> torch.Tensor:
    """Return positions on the line of each baseline, from 0 to 1, (baselines, points), the same for each call.

    The points of a line are equally spaced. The lines are shifted against each other, by equal steps in random order,
    so that the errors of their sums cancel out.
    """
    order = torch.randperm(baselines, generator=torch.Generator().manual_seed(SEED))
    shifts = (order + 0.5) / baselines
    return (torch.arange(points) + shifts[:, None]) / points


METHOD = Method(
    name="gradshap",
    title="GradientSHAP",
    rank=50,
    attribute=attribute,
    passes=passes_per_step,
    steps=StepRange("samples", default=100, minimum=10, maximum=500),
    baseline=TRAINING_IMAGES,
    complete=True,
)
