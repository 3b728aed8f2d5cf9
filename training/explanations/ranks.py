"""Rank correlation of maps."""

from __future__ import annotations

import torch


def spearman(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Spearman's correlation of N pairs of maps (N, H, W), from -1 to 1: (N,).

    Equal values get ranks in the order they are read; a map that is the same everywhere has the correlation 0.
    """
    first, second = (_ranks(maps) for maps in (one, other))
    return (first * second).mean(dim=1)


def _ranks(maps: torch.Tensor) -> torch.Tensor:
    """(N, H * W), with mean 0 and deviation 1; 0 where a map is the same everywhere."""
    flat = maps.flatten(1)
    ranks = flat.argsort(dim=1, stable=True).argsort(dim=1).double()
    ranks = (ranks - ranks.mean(dim=1, keepdim=True)) / ranks.std(dim=1, keepdim=True, correction=0)
    return torch.where((flat.amax(dim=1) > flat.amin(dim=1))[:, None], ranks, 0.0)
