"""Share of the evidence on the object, and the pointing game, for images with masks of their objects."""

from __future__ import annotations

import torch


def relevance_mass(heats: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return the share of the evidence for the class that lies on the object, from 0 to 1: (N,).

    This is the relevance mass accuracy (Arras, Osman, Samek, arXiv 2003.07258) of positive values; 0 if a map has none.

    Args:
        heats: signed maps (N, H, W).
        masks: bool (N, H, W).
    """
    evidence = heats.clamp(min=0).flatten(1)
    within = (evidence * masks.flatten(1)).sum(dim=1)
    total = evidence.sum(dim=1)
    return torch.where(total > 0, within / total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)


def hits(heats: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Return whether the highest value lies on the object, bool (N,); see Zhang et al., arXiv 1608.00507."""
    positions = heats.flatten(1).argmax(dim=1, keepdim=True)
    return masks.flatten(1).gather(1, positions)[:, 0]
