"""SmoothGrad (Smilkov et al., "SmoothGrad: removing noise by adding noise", arXiv 1706.03825)."""

from __future__ import annotations

from dataclasses import replace

import torch

from handlers.explain.methods.method import AttributionInputs, Method, MethodSettings, TargetScore
from handlers.explain.methods.row_limit import rows_at_once

# Standard deviation, as a share of the image's range. The paper uses 0.1 to 0.2 for ImageNet. On CIFAR-10, the maps of
# ResNet-9 were more faithful with 0.05 and less faithful with 0.15.
NOISE = 0.05
SEED = 0


def attribute(
    method: Method, target_score: TargetScore, inputs: AttributionInputs, settings: MethodSettings
) -> torch.Tensor:
    """Average the method over `settings.smoothgrad_samples` noisy copies of each image; all images get the same noise.

    Returns:
        The shape that the method returns. Costs the passes of the method for each copy.
    """
    count, images = len(inputs.images), inputs.images
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(settings.smoothgrad_samples, 1, *images.shape[1:], generator=generator).to(images)
    lowest, highest = images.flatten(1).aminmax(dim=1)
    deviation = NOISE * (highest - lowest).view(-1, 1, 1, 1)
    total = torch.zeros(())
    for chunk in torch.split(noise, max(1, rows_at_once(images) // count)):
        copies = AttributionInputs(
            (images + deviation * chunk).flatten(0, 1),
            inputs.weights.repeat(len(chunk), 1),
            None if inputs.baselines is None else inputs.baselines.repeat(len(chunk), 1, 1, 1),
        )
        values = method.attribute(target_score, copies, replace(settings, smoothgrad_samples=0))
        total = total.to(values) + values.view(len(chunk), count, *values.shape[1:]).sum(dim=0)
    return total / settings.smoothgrad_samples
