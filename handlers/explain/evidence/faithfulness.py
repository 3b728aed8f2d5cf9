"""Whether a map tells what the network looks at: take the image apart in the map's order, and see what is answered.

Deletion and insertion (Petsiuk, Das, Saenko, "RISE", arXiv 1806.07421), on patches. Deletion takes the patches out of
the image, those with most evidence first: the sooner the class is lost, the lower the area under its curve. Insertion
puts them into a blurred image in the same order: the sooner the class appears, the higher the area. Their difference,
insertion minus deletion, is the gap; higher is better.

What is deleted gets the mean color of the training images, which is 0 in a normalized image, and insertion starts from
the blurred image: the two that the paper takes. As a mean color hurts more than blur, even a random map has a gap
above 0, and what counts is by how much a map beats maps that never looked at the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import patches
from handlers.explain.methods.method import rows_at_once
from handlers.explain.methods.patches import Logits

# Points of a curve after the first. More cost passes, and change the areas by less than their noise.
STEPS = 16
# What `measure` costs an image, forward: two curves of each of four maps.
PASSES = 8 * STEPS
SEED = 0
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Curves:
    """The probability of what is explained while N images are taken apart: from nothing done to everything done.

    Attributes:
        deletion, insertion: (N, steps + 1), at even shares of the patches from 0 to 1.
    """

    deletion: torch.Tensor
    insertion: torch.Tensor

    @property
    def areas(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Under deletion and under insertion, (N,) each, from 0 to 1, by trapezoids."""
        deletion, insertion = (
            torch.trapezoid(curve, dim=1) / (curve.shape[1] - 1) for curve in (self.deletion, self.insertion)
        )
        return deletion, insertion

    @property
    def gap(self) -> torch.Tensor:
        """Insertion minus deletion, (N,)."""
        deletion, insertion = self.areas
        return insertion - deletion


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """How faithful the map of one image is to the network.

    Attributes:
        deletion, insertion: the areas.
        versus_random, versus_center: the map's gap minus that of a random map, and of one that is brightest in the
            center. A map that is not above 0 here explains nothing about this network.
    """

    deletion: float
    insertion: float
    versus_random: float
    versus_center: float

    @property
    def gap(self) -> float:
        """Insertion minus deletion."""
        return self.insertion - self.deletion

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it."""
        names = ("deletion", "insertion", "gap", "versus_random", "versus_center")
        return {name: round(getattr(self, name), DIGITS) for name in names}


def measure(
    logits: Logits, images: torch.Tensor, weights: torch.Tensor, heats: torch.Tensor, blurred: torch.Tensor
) -> list[Faithfulness]:
    """Measure the maps of N images, and beside each random maps and one of the center.

    Args:
        logits, images, weights, heats, blurred: see `curves`.

    Costs 8 * STEPS passes forward an image, in chunks that memory is enough for.
    """
    found = curves(logits, images, weights, heats, blurred)
    gap = found.gap
    versus = [gap - trivial(logits, images, weights, blurred) for trivial in (random_gap, centre_gap)]
    return [Faithfulness(*row) for row in torch.stack([*found.areas, *versus], dim=1).tolist()]


def random_gap(logits: Logits, images: torch.Tensor, weights: torch.Tensor, blurred: torch.Tensor) -> torch.Tensor:
    """The gap of random maps for N images, (N,): see `curves`.

    The mean of one map of noise and of the same turned upside down, which is less than half as far from the mean of
    all maps as one alone. They are the same for all images, so that an image's figures do not depend on the others.
    """
    noise = torch.rand(patches.GRID, patches.GRID, generator=torch.Generator().manual_seed(SEED)).to(images)
    maps = patches.pixels(noise[None], *images.shape[2:]).expand_as(images[:, 0])
    there, back = (curves(logits, images, weights, either, blurred).gap for either in (maps, -maps))
    return (there + back) / 2


def centre_gap(logits: Logits, images: torch.Tensor, weights: torch.Tensor, blurred: torch.Tensor) -> torch.Tensor:
    """The gap of a map that is brightest in the center, a Gaussian, for N images, (N,): see `curves`."""
    down, right = (torch.linspace(-1, 1, side, device=images.device) for side in images.shape[2:])
    maps = torch.exp(-2 * (down[:, None] ** 2 + right**2)).to(images).expand_as(images[:, 0])
    return curves(logits, images, weights, maps, blurred).gap


def curves(
    logits: Logits,
    images: torch.Tensor,
    weights: torch.Tensor,
    heats: torch.Tensor,
    blurred: torch.Tensor,
    steps: int = STEPS,
) -> Curves:
    """Take N images apart, and put them together again.

    Args:
        images: normalized, (N, 3, H, W).
        weights: what is explained, (N, classes), see handlers.explain.methods.method.Readout.
        heats: signed maps (N, H, W).
        blurred: the images blurred, (N, 3, H, W).
        steps: at most as many as there are patches, 64 in all.

    Costs 2 * steps passes forward an image, in chunks that memory is enough for.
    """
    evidence = patches.evidence(heats)
    # The place of each patch in the map's order; equal ones in the order they are read.
    order = evidence.flatten(1).argsort(dim=1, descending=True, stable=True)
    places = order.argsort(dim=1).reshape(evidence.shape)
    count = order.shape[1]
    steps = min(steps, count)
    sizes = torch.linspace(0, count, steps + 1, device=images.device).round().long()
    # Of insertion, the last point is the whole image, which is the first of deletion.
    rows = torch.arange(len(images), device=images.device).repeat_interleave(2 * steps + 1)
    sizes = torch.cat([sizes, sizes[:-1]]).repeat(len(images))
    inserts = (torch.arange(2 * steps + 1, device=images.device) > steps).repeat(len(images))

    def changed(part: slice) -> torch.Tensor:
        whole, size, insert = rows[part], sizes[part, None, None], inserts[part]
        done = places[whole] < size
        fill = torch.where(insert[:, None, None, None], blurred[whole], images.new_zeros(()))
        return patches.without(images[whole], fill, done ^ insert[:, None, None])

    seen = probability(patches.chunked(logits, len(rows), changed, rows_at_once(images)), weights[rows])
    seen = seen.reshape(len(images), 2 * steps + 1)
    deletion = seen[:, : steps + 1]
    return Curves(deletion, torch.cat([seen[:, steps + 1 :], deletion[:, :1]], dim=1))


def probability(logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """How probable what is explained is, (M,), from logits and weights (M, classes).

    The softmax of one class; of a contrast, "why A and not B", the probability of A if it is one of these two.
    """
    contrast = (logits * weights).sum(dim=1).sigmoid()
    single = (logits.softmax(dim=1) * weights).sum(dim=1)
    return torch.where((weights < 0).any(dim=1), contrast, single)
