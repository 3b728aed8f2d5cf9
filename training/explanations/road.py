"""ROAD, remove and debias (Rong et al., arXiv 2202.00449): the most and the least important pixels are taken out.

What is taken out is filled in from its surroundings, so that the network sees no edges that were not there. Known bias:
filling in leaves hardly a trace of what is taken out evenly, so blurred maps look better than they are
(arXiv 2304.13836).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.evidence.faithfulness import probability
from handlers.explain.methods.method import rows_at_once
from handlers.explain.methods.patches import Logits

SHARES = (0.2, 0.4, 0.6, 0.8)
NOISE = 0.01
SEED = 0
# The paper's weights of the eight neighbors: 1/6 beside, above and below, 1/12 at the corners.
KERNEL = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))
# Solved up to this part of the image's own size, in normalized units far below the noise.
TOLERANCE, MOST_ROUNDS = 1e-4, 500


def road(logits: Logits, images: torch.Tensor, weights: torch.Tensor, heats: torch.Tensor) -> torch.Tensor:
    """How much more probable the class stays when the least important pixels go than when the most important go: (N,).

    The mean over SHARES of the pixels, from -1 to 1; higher is better, and 0 is what a random map comes to.

    Args:
        images: normalized, (N, 3, H, W).
        weights: what is explained, (N, classes), see handlers.explain.methods.method.TargetScore.
        heats: signed maps (N, H, W).
    """
    ranks = heats.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1).reshape(heats.shape)
    count = ranks[0].numel()
    gained = torch.zeros(len(images), device=images.device)
    for share in SHARES:
        size = round(share * count)
        for sign, taken in ((-1, ranks < size), (1, ranks >= count - size)):
            gained += sign * _probability(logits, imputed(images, taken), weights)
    return gained / len(SHARES)


def imputed(images: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, H, W) whose `taken` pixels, bool (N, H, W), are the weighted mean of their neighbors, and noise.

    The linear system of the paper, solved by conjugate gradients for all images and channels at once.
    """
    holes = taken[:, None].to(images.dtype)
    kernel = torch.tensor(KERNEL, dtype=images.dtype, device=images.device)
    neighbors = _around(torch.ones_like(images[:1, :1]), kernel)

    def apply(values: torch.Tensor) -> torch.Tensor:
        return holes * (neighbors * values - _around(values * holes, kernel))

    kept = images * (1 - holes)
    values = torch.zeros_like(images)
    residual = holes * _around(kept, kernel)
    direction, size = residual, _dot(residual, residual)
    wanted = TOLERANCE**2 * _dot(images, images)
    for _ in range(MOST_ROUNDS):
        if (size <= wanted).all():
            break
        through = apply(direction)
        # Where a system is solved, or an image has no holes, all of these are 0: the step is none.
        step = size / _dot(direction, through).clamp(min=torch.finfo(images.dtype).tiny)
        values = values + step * direction
        residual = residual - step * through
        before, size = size, _dot(residual, residual)
        direction = residual + size / before.clamp(min=torch.finfo(images.dtype).tiny) * direction
    noise = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(SEED)).to(images)
    return kept + holes * (values + NOISE * noise)


def _around(values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """The weighted sum of the eight neighbors of each pixel; beyond the edges there are none."""
    channels = values.shape[1]
    return functional.conv2d(values, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


def _dot(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return (one * other).sum(dim=(2, 3), keepdim=True)


def _probability(logits: Logits, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return probability(torch.cat([logits(part) for part in torch.split(images, rows_at_once(images))]), weights)
