"""Remove and debias (Rong et al., arXiv 2202.00449): the most and the least important pixels are removed.

Removed pixels are imputed from their neighbors, so that the network sees no new edges. Known bias: imputation hides
evenly removed pixels, so blurred maps look better than they are (arXiv 2304.13836).
"""

from __future__ import annotations

import torch
from torch.nn import functional

from handlers.explain.evidence.faithfulness import probability
from handlers.explain.methods.patches import Logits
from handlers.explain.methods.row_limit import rows_at_once

SHARES = (0.2, 0.4, 0.6, 0.8)
NOISE = 0.01
SEED = 0
# Weights of the eight neighbors, as in the paper: 1/6 for direct neighbors, 1/12 for diagonal ones.
KERNEL = ((1 / 12, 1 / 6, 1 / 12), (1 / 6, 0.0, 1 / 6), (1 / 12, 1 / 6, 1 / 12))
# Relative residual of the solution; it is far below the noise.
TOLERANCE, MAX_ROUNDS = 1e-4, 500


def remove_and_debias(logits: Logits, images: torch.Tensor, weights: torch.Tensor, heats: torch.Tensor) -> torch.Tensor:
    """Return the probability without the least important pixels minus that without the most important ones: (N,).

    This is the mean over SHARES of the pixels, from -1 to 1. Higher is better; a random map has 0.

    Args:
        images: normalized, (N, 3, H, W).
        weights: weights of the score, (N, classes), see handlers.explain.methods.method.TargetScore.
        heats: signed maps (N, H, W).
    """
    ranks = heats.flatten(1).argsort(dim=1, descending=True, stable=True).argsort(dim=1).reshape(heats.shape)
    count = ranks[0].numel()
    gained = torch.zeros(len(images), device=images.device)
    for share in SHARES:
        size = round(share * count)
        for sign, removed in ((-1, ranks < size), (1, ranks >= count - size)):
            gained += sign * _probability(logits, imputed(images, removed), weights)
    return gained / len(SHARES)


def imputed(images: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """Replace the pixels `removed`, bool (N, H, W), of images (N, 3, H, W) by the mean of their neighbors plus noise.

    Solves the linear system of the paper by conjugate gradients, for all images and channels at once.
    """
    holes = removed[:, None].to(images.dtype)
    kernel = torch.tensor(KERNEL, dtype=images.dtype, device=images.device)
    neighbors = _around(torch.ones_like(images[:1, :1]), kernel)

    def apply(values: torch.Tensor) -> torch.Tensor:
        return holes * (neighbors * values - _around(values * holes, kernel))

    visible = images * (1 - holes)
    values = torch.zeros_like(images)
    residual = holes * _around(visible, kernel)
    direction, size = residual, _dot(residual, residual)
    threshold = TOLERANCE**2 * _dot(images, images)
    for _ in range(MAX_ROUNDS):
        if (size <= threshold).all():
            break
        product = apply(direction)
        # If a system is solved, or an image has no holes, all of these are 0 and the step is 0.
        step = size / _dot(direction, product).clamp(min=torch.finfo(images.dtype).tiny)
        values = values + step * direction
        residual = residual - step * product
        previous_size, size = size, _dot(residual, residual)
        direction = residual + size / previous_size.clamp(min=torch.finfo(images.dtype).tiny) * direction
    noise = torch.randn(images.shape[1:], generator=torch.Generator().manual_seed(SEED)).to(images)
    return visible + holes * (values + NOISE * noise)


def _around(values: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Return the weighted sum of the eight neighbors of each pixel; pixels beyond the edges count as 0."""
    channels = values.shape[1]
    return functional.conv2d(values, kernel.expand(channels, 1, 3, 3), padding=1, groups=channels)


def _dot(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    return (left * right).sum(dim=(2, 3), keepdim=True)


def _probability(logits: Logits, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        return probability(torch.cat([logits(chunk) for chunk in torch.split(images, rows_at_once(images))]), weights)
