"""Rank correlation of maps."""

from __future__ import annotations

import torch


def spearman(maps: torch.Tensor, other_maps: torch.Tensor) -> torch.Tensor:
    """Return Spearman's correlation of N pairs of maps (N, H, W), from -1 to 1: (N,).

    Equal values get ranks in reading order. A constant map has the correlation 0.
    """
    first, second = (_ranks(values) for values in (maps, other_maps))
    return (first * second).mean(dim=1)


def _ranks(maps: torch.Tensor) -> torch.Tensor:
    """Return standardized ranks (N, H * W), with mean 0 and deviation 1; 0 for a constant map."""
    flat = maps.flatten(1)
    ranks = flat.argsort(dim=1, stable=True).argsort(dim=1).double()
    ranks = (ranks - ranks.mean(dim=1, keepdim=True)) / ranks.std(dim=1, keepdim=True, correction=0)
    return torch.where((flat.amax(dim=1) > flat.amin(dim=1))[:, None], ranks, 0.0)
