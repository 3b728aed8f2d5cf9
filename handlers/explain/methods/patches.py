"""An image as a grid of patches: what evidence is added up over, and what is taken out of an image together."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

# Patches along a side, fewer where the image has fewer pixels: of an image of 32 they are 4 x 4 pixels each.
GRID = 8

Logits = Callable[[torch.Tensor], torch.Tensor]
"""A network, or what is made of one: images (M, 3, H, W) -> logits (M, classes)."""


def evidence(heats: torch.Tensor, most: int = GRID) -> torch.Tensor:
    """Signed maps (N, H, W) -> the mean of each patch, (N, rows, columns), at most `most` of each."""
    rows, columns = (min(most, side) for side in heats.shape[1:])
    return functional.adaptive_avg_pool2d(heats[:, None], (rows, columns))[:, 0]


def pixels(patches: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Patches (N, rows, columns) of any type -> what each pixel's patch has, (N, height, width)."""
    rows = torch.arange(height, device=patches.device) * patches.shape[1] // height
    columns = torch.arange(width, device=patches.device) * patches.shape[2] // width
    return patches[:, rows[:, None], columns]


def without(images: torch.Tensor, fill: torch.Tensor, taken: torch.Tensor) -> torch.Tensor:
    """Images (N, 3, H, W) with the patches that are `taken`, bool (N, rows, columns), replaced by those of `fill`."""
    return torch.where(pixels(taken, *images.shape[2:])[:, None], fill, images)


def chunked(logits: Logits, count: int, images: Callable[[slice], torch.Tensor], rows: int) -> torch.Tensor:
    """The logits of `count` images (count, classes), which are made as they are needed: so many `rows` in one pass."""
    parts = [slice(first, min(first + rows, count)) for first in range(0, count, rows)]
    with torch.no_grad():
        return torch.cat([logits(images(part)) for part in parts])
