"""Random splits of a network's pool into calibration and held-out images."""

from __future__ import annotations

from collections.abc import Iterator

import torch

# Held-out images that a split needs at least.
MIN_HELD_OUT = 100


def resplits(count: int, calibration: int, splits: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield indices of calibration and held-out images, int64; no splits if too few images would be held out.

    Args:
        count: images of the pool.
        calibration: images of each calibration split.
    """
    if count - calibration < MIN_HELD_OUT:
        return
    generator = torch.Generator().manual_seed(seed)
    for _ in range(splits):
        order = torch.randperm(count, generator=generator)
        yield order[:calibration], order[calibration:]
