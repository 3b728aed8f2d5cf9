"""Whether evidence lies on the object, where it is known where that is."""

from __future__ import annotations

import torch


def mass(heats: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """The share of the evidence for the class that lies on the object, from 0 to 1: (N,).

    Relevance mass accuracy (Arras, Osman, Samek, arXiv 2003.07258), of positive values. A map without any has 0.

    Args:
        heats: signed maps (N, H, W).
        masks: bool (N, H, W).
    """
    evidence = heats.clamp(min=0).flatten(1)
    within = (evidence * masks.flatten(1)).sum(dim=1)
    total = evidence.sum(dim=1)
    return torch.where(total > 0, within / total.clamp(min=torch.finfo(total.dtype).tiny), 0.0)


def pointing(heats: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
    """Whether the highest value lies on the object, bool (N,): the pointing game (Zhang et al., arXiv 1608.00507)."""
    places = heats.flatten(1).argmax(dim=1, keepdim=True)
    return masks.flatten(1).gather(1, places)[:, 0]
