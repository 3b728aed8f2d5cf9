"""Stability of maps under noise that is too small to see."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from models.card import Input

COPIES = 4
# Standard deviation of the noise, as a share of the range from black to white: five of 255 levels.
NOISE = 0.02
SEED = 0


def noisy(images: torch.Tensor, spec: Input) -> Iterator[torch.Tensor]:
    """Yield COPIES of normalized images (N, 3, H, W), each with new noise; all images get the same noise."""
    generator = torch.Generator().manual_seed(SEED)
    std = torch.tensor(spec.std).view(3, 1, 1)
    for _ in range(COPIES):
        noise = torch.randn(images.shape[1:], generator=generator) * NOISE / std
        yield images + noise.to(images)


def relative_change(maps: torch.Tensor, other_maps: torch.Tensor) -> torch.Tensor:
    """Return the norm of the difference of maps (N, H, W), divided by the norm of `maps`: (N,).

    The largest value over noisy copies is the maximum sensitivity of Yeh et al., arXiv 1901.09392.
    """
    lengths = maps.flatten(1).norm(dim=1)
    changes: torch.Tensor = (other_maps - maps).flatten(1).norm(dim=1) / lengths.clamp(min=torch.finfo(maps.dtype).tiny)
    return changes
