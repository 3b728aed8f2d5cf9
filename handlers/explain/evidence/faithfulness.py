"""Faithfulness of a map to the network: deletion and insertion of patches.

See Petsiuk, Das, Saenko, "RISE", arXiv 1806.07421. Deletion removes patches from the image, those with most evidence
first: the sooner the class is lost, the smaller the area under its curve. Insertion adds them to an image without the
class in the same order: the sooner the class appears, the larger the area. The gap is insertion minus deletion; higher
is better.

Deleted patches get the mean color of the training images, which is 0 in a normalized image. Insertion starts from the
blurred image, as in the paper. If the network still sees the class there, the curve says nothing about the map, so
insertion starts from the mean color.

A mean color hurts more than blur, so even a random map has a gap above 0. So a map is compared with a random map and
with a map of the center, which do not depend on the network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import baselines, patches
from handlers.explain.methods.patches import Logits
from handlers.explain.methods.row_limit import rows_at_once

# Points of a curve after the first. More points cost passes and change the areas by less than their noise.
STEPS = 16
# Forward passes of `measure` for one image: two curves of each of four maps, and the blurred image.
PASSES = 8 * STEPS + 1
# Insertion starts from the blurred image unless the class has a larger probability there.
MAX_START_PROBABILITY = 0.5
SEED = 0
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Curves:
    """Probability of the explained class while patches of N images are changed, from no patch to all patches.

    Attributes:
        deletion, insertion: (N, steps + 1), at equally spaced shares of the patches from 0 to 1.
    """

    deletion: torch.Tensor
    insertion: torch.Tensor

    @property
    def areas(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the areas under deletion and under insertion, (N,) each, from 0 to 1, by trapezoids."""
        deletion, insertion = (
            torch.trapezoid(curve, dim=1) / (curve.shape[1] - 1) for curve in (self.deletion, self.insertion)
        )
        return deletion, insertion

    @property
    def gap(self) -> torch.Tensor:
        """Return insertion minus deletion, (N,)."""
        deletion, insertion = self.areas
        return insertion - deletion


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """Faithfulness of the map of one image.

    Attributes:
        insertion_baseline: name of the image that insertion starts from: blur or mean.
        insertion_start: probability of the class in that image, before any patch is inserted.
        deletion, insertion: areas under the curves.
        versus_random, versus_center: gap of the map minus the gap of a random map, and of a map of the center. A map
            that is not above 0 here explains nothing about this network.
    """

    insertion_baseline: str
    insertion_start: float
    deletion: float
    insertion: float
    versus_random: float
    versus_center: float

    @property
    def gap(self) -> float:
        """Return insertion minus deletion."""
        return self.insertion - self.deletion

    def members(self) -> dict[str, Any]:
        """Return the members in JSON."""
        names = ("deletion", "insertion", "gap", "versus_random", "versus_center", "insertion_start")
        figures = {name: round(getattr(self, name), DIGITS) for name in names}
        return {**figures, "insertion_baseline": self.insertion_baseline}


@dataclass(frozen=True, slots=True)
class InsertionStart:
    """Images that insertion starts from.

    Attributes:
        images: normalized, (N, 3, H, W).
        blurred: whether an image is the blurred one, bool (N,); the others are of the mean color.
    """

    images: torch.Tensor
    blurred: torch.Tensor

    def name(self, row: int) -> str:
        """Return the name of one baseline, see handlers.explain.methods.baselines.NAMES."""
        return "blur" if self.blurred[row] else "mean"


def insertion_start(logits: Logits, images: torch.Tensor, weights: torch.Tensor) -> InsertionStart:
    """Return the image that insertion starts from, for each of N images: blurred if that removes the class.

    Args:
        logits, images, weights: see `curves`.

    Costs one forward pass for each image.
    """
    blurred = baselines.blur(images)
    removed = probabilities(logits, blurred, weights) <= MAX_START_PROBABILITY
    return InsertionStart(torch.where(removed[:, None, None, None], blurred, 0.0), removed)


def measure(logits: Logits, images: torch.Tensor, weights: torch.Tensor, heats: torch.Tensor) -> list[Faithfulness]:
    """Measure the maps of N images, and compare them with random maps and with a map of the center.

    Args:
        logits, images, weights, heats: see `curves`.

    Costs PASSES forward passes for each image, in chunks that fit in memory.
    """
    start = insertion_start(logits, images, weights)
    map_curves = curves(logits, images, weights, heats, start.images)
    gap = map_curves.gap
    versus = [gap - trivial(logits, images, weights, start.images) for trivial in (random_gap, center_gap)]
    figures = torch.stack([map_curves.insertion[:, 0], *map_curves.areas, *versus], dim=1).tolist()
    return [Faithfulness(start.name(row), *values) for row, values in enumerate(figures)]


def random_gap(logits: Logits, images: torch.Tensor, weights: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Return the gap of random maps for N images, (N,); see `curves`.

    This is the mean over a map of noise and its negative, which has less than half the error of one map. All images get
    the same maps, so the result of an image does not depend on the batch.
    """
    noise = torch.rand(patches.GRID, patches.GRID, generator=torch.Generator().manual_seed(SEED)).to(images)
    maps = patches.pixels(noise[None], *images.shape[2:]).expand_as(images[:, 0])
    gap, negative_gap = (curves(logits, images, weights, noisy, start).gap for noisy in (maps, -maps))
    return (gap + negative_gap) / 2


def center_gap(logits: Logits, images: torch.Tensor, weights: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
    """Return the gap of a Gaussian map of the center for N images, (N,); see `curves`."""
    down, right = (torch.linspace(-1, 1, side, device=images.device) for side in images.shape[2:])
    maps = torch.exp(-2 * (down[:, None] ** 2 + right**2)).to(images).expand_as(images[:, 0])
    return curves(logits, images, weights, maps, start).gap


def curves(
    logits: Logits,
    images: torch.Tensor,
    weights: torch.Tensor,
    heats: torch.Tensor,
    start: torch.Tensor,
    steps: int = STEPS,
) -> Curves:
    """Compute the deletion and insertion curves of N images.

    Args:
        images: normalized, (N, 3, H, W).
        weights: weights of the score, (N, classes), see handlers.explain.methods.method.TargetScore.
        heats: signed maps (N, H, W).
        start: images that insertion starts from, (N, 3, H, W), see `insertion_start`.
        steps: at most the number of patches, 64.

    Costs 2 * steps forward passes for each image, in chunks that fit in memory.
    """
    evidence = patches.evidence(heats)
    # The rank of each patch by evidence; equal patches in reading order.
    order = evidence.flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1).reshape(evidence.shape)
    count = order.shape[1]
    steps = min(steps, count)
    sizes = torch.linspace(0, count, steps + 1, device=images.device).round().long()
    # The last point of insertion is the original image, which is also the first point of deletion.
    rows = torch.arange(len(images), device=images.device).repeat_interleave(2 * steps + 1)
    sizes = torch.cat([sizes, sizes[:-1]]).repeat(len(images))
    inserts = (torch.arange(2 * steps + 1, device=images.device) > steps).repeat(len(images))

    def changed(part: slice) -> torch.Tensor:
        image_rows, size, insert = rows[part], sizes[part, None, None], inserts[part]
        selected = ranks[image_rows] < size
        fill = torch.where(insert[:, None, None, None], start[image_rows], images.new_zeros(()))
        return patches.without(images[image_rows], fill, selected ^ insert[:, None, None])

    points = probability(patches.chunked(logits, len(rows), changed, rows_at_once(images)), weights[rows])
    points = points.reshape(len(images), 2 * steps + 1)
    deletion = points[:, : steps + 1]
    return Curves(deletion, torch.cat([points[:, steps + 1 :], deletion[:, :1]], dim=1))


def probabilities(logits: Logits, images: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the probability of the explained class of each of N images, (N,); see `probability`."""
    chunks = patches.chunked(logits, len(images), lambda rows: images[rows], rows_at_once(images))
    return probability(chunks, weights)


def probability(logits: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the probability of the explained class, (M,), from logits and weights (M, classes).

    This is the softmax of one class. In a contrast, "why A and not B", it is the probability of A given A or B.
    """
    contrast = (logits * weights).sum(dim=1).sigmoid()
    single = (logits.softmax(dim=1) * weights).sum(dim=1)
    return torch.where((weights < 0).any(dim=1), contrast, single)
