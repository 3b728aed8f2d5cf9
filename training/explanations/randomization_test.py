"""Randomization test (Adebayo et al., "Sanity checks", arXiv 1810.03292): maps must depend on the trained weights.

If the maps of networks with random weights are similar, a method shows the image or its own bias, not the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import architectures
from models.card import Architecture
from training.explanations.ranks import spearman

NETWORKS = 3


def random_networks(architecture: Architecture, device: torch.device) -> list[nn.Module]:
    """Return NETWORKS networks of an architecture with random weights, the same for each call."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        networks = [architectures.build(architecture.name, **architecture.arguments) for _ in range(NETWORKS)]
    return [network.to(device).eval().requires_grad_(False) for network in networks]


@dataclass(frozen=True, slots=True)
class Similarity:
    """Similarity of the maps of a trained and a random network.

    Attributes:
        value: similarity beyond chance, 0 to 1.
        spearman: mean absolute value of Spearman's correlation, without correction for chance.
        unsigned: mean of Spearman's correlation of the absolute values. The signs of a map may depend on the network
            while the strength at each pixel depends on the image alone. Then this is large, and `value` is small.
    """

    value: float
    spearman: float
    unsigned: float


def similarity(trained: torch.Tensor, random: torch.Tensor) -> Similarity:
    """Compare the maps of a trained network and of a random network.

    `value` is the larger of two statistics of Spearman's correlation of signed maps, image by image:

    - the absolute value of its mean. This is large if a method draws similar maps for any network.
    - the mean of its absolute value, minus the same for maps of different images. This is large if maps show the image,
      with either sign. The subtrahend is the result of chance: maps of few cells, such as class activation maps, are
      often similar without any relation.

    Args:
        trained, random: (N, H, W).
    """
    same = spearman(trained, random)
    other = spearman(trained.roll(1, dims=0), random)
    absolute = float(same.abs().mean())
    value = max(abs(float(same.mean())), absolute - float(other.abs().mean()))
    return Similarity(value, absolute, float(spearman(trained.abs(), random.abs()).mean()))
