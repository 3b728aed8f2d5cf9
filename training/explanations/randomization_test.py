"""Whether maps change when the network forgets all it has learnt (Adebayo et al., "Sanity checks", arXiv 1810.03292).

A method whose maps stay alike shows the image, or its own habits, and not the network.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from models import architectures
from models.card import Architecture
from training.explanations.ranks import spearman

NETWORKS = 3


def forgetful(architecture: Architecture, device: torch.device) -> list[nn.Module]:
    """NETWORKS networks of an architecture with fresh random weights, the same ones each time."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        made = [architectures.build(architecture.name, **architecture.arguments) for _ in range(NETWORKS)]
    return [network.to(device).eval().requires_grad_(False) for network in made]


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike the maps of a trained network and of one that knows nothing are.

    Attributes:
        value: from 0 to 1, less what chance comes to.
        spearman: the mean of the absolute value of Spearman's correlation, chance and all.
    """

    value: float
    spearman: float


def likeness(trained: torch.Tensor, random: torch.Tensor) -> Likeness:
    """Compare maps of a trained network and of one that knows nothing.

    `value` is the larger of two, both of Spearman's correlation of signed maps, image by image:

    - of its mean, the absolute value: large where a method draws much the same whatever it is asked.
    - the mean of its absolute value, minus the same for maps of different images: large where maps show the image, in
      whichever sign. The second is what chance comes to: maps of few cells, such as class activation maps, often are
      alike, though they have nothing to do with each other.

    Args:
        trained, random: (N, H, W).
    """
    same = spearman(trained, random)
    other = spearman(trained.roll(1, dims=0), random)
    plain = float(same.abs().mean())
    return Likeness(max(abs(float(same.mean())), plain - float(other.abs().mean())), plain)
