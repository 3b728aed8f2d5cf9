"""A grid of patches: evidence is averaged over a patch, and patches are removed from an image as a whole."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.nn import functional

# Patches along a side; fewer if the image has fewer pixels. In an image of 32 pixels a patch has 4 x 4.
GRID = 8

Logits = Callable[[torch.Tensor], torch.Tensor]
"""A network or a function of one: images (M, 3, H, W) -> logits (M, classes)."""


def evidence(heats: torch.Tensor, max_side: int = GRID) -> torch.Tensor:
    """Average signed maps (N, H, W) over patches: (N, rows, columns), at most `max_side` each."""
    rows, columns = (min(max_side, side) for side in heats.shape[1:])
    return functional.adaptive_avg_pool2d(heats[:, None], (rows, columns))[:, 0]


def pixels(patches: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Spread patches (N, rows, columns) over their pixels: (N, height, width)."""
    rows = torch.arange(height, device=patches.device) * patches.shape[1] // height
    columns = torch.arange(width, device=patches.device) * patches.shape[2] // width
    return patches[:, rows[:, None], columns]


def without(images: torch.Tensor, fill: torch.Tensor, removed: torch.Tensor) -> torch.Tensor:
    """Return images (N, 3, H, W) with the patches `removed`, bool (N, rows, columns), replaced by those of `fill`."""
    return torch.where(pixels(removed, *images.shape[2:])[:, None], fill, images)


def chunked(logits: Logits, count: int, images: Callable[[slice], torch.Tensor], rows: int) -> torch.Tensor:
    """Return the logits (count, classes) of `count` images, which are made in chunks of at most `rows`."""
    chunks = [slice(first, min(first + rows, count)) for first in range(0, count, rows)]
    with torch.no_grad():
        return torch.cat([logits(images(chunk)) for chunk in chunks])
