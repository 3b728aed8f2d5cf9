"""SmoothGrad (Smilkov et al., "SmoothGrad: removing noise by adding noise", arXiv 1706.03825)."""

from __future__ import annotations

from dataclasses import replace

import torch

from handlers.explain.methods.method import Method, Question, Readout, Settings, rows_at_once

MOST = 50  # copies
# Standard deviation, as a share of the image's range. The paper has 0.1 to 0.2 for ImageNet; on CIFAR-10 0.05 made the
# maps of ResNet-9 more faithful, and 0.15 less so.
NOISE = 0.05
SEED = 0


def attribute(method: Method, readout: Readout, question: Question, settings: Settings) -> torch.Tensor:
    """The method's mean over `settings.smoothgrad_samples` noisy copies of each image; all images get the same noise.

    Returns:
        What the method returns. Costs its passes times the copies.
    """
    count, images = len(question.images), question.images
    generator = torch.Generator().manual_seed(SEED)
    noise = torch.randn(settings.smoothgrad_samples, 1, *images.shape[1:], generator=generator).to(images)
    lowest, highest = images.flatten(1).aminmax(dim=1)
    deviation = NOISE * (highest - lowest).view(-1, 1, 1, 1)
    total = torch.zeros(())
    for some in torch.split(noise, max(1, rows_at_once(images) // count)):
        copies = Question(
            (images + deviation * some).flatten(0, 1),
            question.weights.repeat(len(some), 1),
            None if question.baselines is None else question.baselines.repeat(len(some), 1, 1, 1),
        )
        values = method.attribute(readout, copies, replace(settings, smoothgrad_samples=0))
        total = total.to(values) + values.view(len(some), count, *values.shape[1:]).sum(dim=0)
    return total / settings.smoothgrad_samples
