"""The limit of rows in one pass through the network."""

from __future__ import annotations

import torch

# Largest number of rows in one pass: images times steps. More rows are no faster on a CPU; an unbounded tensor takes
# 1.6 times as long.
MAX_ROWS = 64
# Fewer rows for images larger than 64 pixels: 64 rows of ResNet-50 at 224 pixels keep gigabytes for the backward pass.
MAX_PIXELS = MAX_ROWS * 64 * 64


def rows_at_once(images: torch.Tensor) -> int:
    """Return how many images of this shape, (N, 3, H, W), go through the network in one pass."""
    return max(1, min(MAX_ROWS, MAX_PIXELS // (images.shape[2] * images.shape[3])))
