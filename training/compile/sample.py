"""The images that int8 takes the ranges of its activations from."""

from __future__ import annotations

import torch

from models.card import Input
from training.loop.loader import BatchSource
from training.loop.measure import seen

IMAGES = 256
SEED = 0


def draw(source: BatchSource, spec: Input, images: int = IMAGES) -> torch.Tensor:
    """At most so many images of a split, the classes in turn, by a seed: uint8 (N, 3, size, size)."""
    order = torch.randperm(len(source.labels), generator=torch.Generator().manual_seed(SEED))
    labels = source.labels.cpu()[order]
    # The how-many-th of its class each one is: sorted by that, every class comes before any comes again.
    turn = torch.zeros(len(order), dtype=torch.int64)
    for label in set(labels.tolist()):
        own = labels == label
        turn[own] = torch.arange(int(own.sum()))
    chosen = order[turn.argsort(stable=True)[:images]].sort().values
    wanted = torch.zeros(len(order), dtype=torch.bool)
    wanted[chosen] = True
    return torch.cat([pixels.cpu()[wanted[rows]] for rows, pixels in seen(source, spec)])
