"""Calibration images for the ranges of int8 activations."""

from __future__ import annotations

import torch

from models.card import Input
from training.loop.loader import BatchSource
from training.loop.measure import seen

IMAGES = 256
SEED = 0


def draw(source: BatchSource, spec: Input, images: int = IMAGES) -> torch.Tensor:
    """Return a seeded sample of a split with balanced classes: uint8 (N, 3, size, size)."""
    order = torch.randperm(len(source.labels), generator=torch.Generator().manual_seed(SEED))
    labels = source.labels.cpu()[order]
    # Rank of each image within its class: sorted by rank, every class appears before any class repeats.
    turn = torch.zeros(len(order), dtype=torch.int64)
    for label in set(labels.tolist()):
        own = labels == label
        turn[own] = torch.arange(int(own.sum()))
    chosen = order[turn.argsort(stable=True)[:images]].sort().values
    selected = torch.zeros(len(order), dtype=torch.bool)
    selected[chosen] = True
    return torch.cat([pixels.cpu()[selected[rows]] for rows, pixels in seen(source, spec)])
