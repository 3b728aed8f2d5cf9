"""Counterfactual: a small set of patches that changes the predicted class if it is blurred.

Patches are blurred in the order of the evidence for the class until the prediction changes. Then patches that were not
needed are restored. The search is greedy, as in Goyal et al. ("Counterfactual Visual Explanations", arXiv 1904.07451),
who take the patches from another image. The set is small, but not always the smallest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import patches
from handlers.explain.methods.patches import Logits
from handlers.explain.methods.row_limit import rows_at_once
from handlers.explain.rendering.regions import Box, Edges, in_pixels

ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The patches to blur, and the new prediction.

    Attributes:
        boxes: boxes that cover exactly these patches, in pixels of the image.
        share: their share of the image, 0 to 1.
        new_class: index of the class that is predicted then.
        probability: probability of that class.
    """

    boxes: tuple[Box, ...]
    share: float
    new_class: int
    probability: float

    def members(self) -> dict[str, Any]:
        """Return the members in JSON, without the label of the class."""
        return {
            "boxes": [list(box) for box in self.boxes],
            "share": round(self.share, 3),
            "index": self.new_class,
            "probability": round(self.probability, 6),
        }


def find(
    logits: Logits, image: torch.Tensor, blurred: torch.Tensor, heat: torch.Tensor, index: int, size: tuple[int, int]
) -> Counterfactual | None:
    """Search the counterfactual of one image.

    Args:
        logits: the network, divided by the temperature if `probability` should be calibrated.
        image: normalized, (1, 3, H, W).
        blurred: the blurred image.
        heat: signed evidence for class `index`, (H, W).
        index: the predicted class.
        size: width and height in pixels of the part of the image that the network sees.

    Returns:
        None if the class does not change even if all patches are blurred, or if it is not `index` at the start.

    Costs at most 1 + 2 * ROUNDS passes of at most MAX_ROWS images.
    """
    evidence = patches.evidence(heat[None])[0]
    order = evidence.flatten().argsort(descending=True, stable=True)
    ranks = order.argsort().reshape(evidence.shape)
    search = _Search(logits, image, blurred, index)
    growing_sets = ranks < torch.arange(len(order), device=image.device)[:, None, None]
    changed = search.margins(growing_sets) > 0
    if changed[0] or not changed.any():
        return None
    patch_set = search.pruned(growing_sets[int(changed.int().argmax())])
    probabilities = search.logits_without(patch_set[None])[0].double().softmax(dim=0)
    new_class = int(probabilities.argmax())
    share = float(patches.pixels(patch_set[None], *image.shape[2:]).float().mean())
    boxes = tuple(in_pixels(edges, size) for edges in _boxes(patch_set))
    return Counterfactual(boxes, share, new_class, float(probabilities[new_class]))


@dataclass(frozen=True, slots=True)
class _Search:
    logits: Logits
    image: torch.Tensor
    blurred: torch.Tensor
    index: int

    def logits_without(self, patch_sets: torch.Tensor) -> torch.Tensor:
        """Return the logits (M, classes) of the image with M sets of patches blurred, bool (M, rows, columns)."""

        def blur_patches(rows: slice) -> torch.Tensor:
            count = len(patch_sets[rows])
            images, fill = (tensor.expand(count, -1, -1, -1) for tensor in (self.image, self.blurred))
            return patches.without(images, fill, patch_sets[rows])

        return patches.chunked(self.logits, len(patch_sets), blur_patches, rows_at_once(self.image))

    def margins(self, patch_sets: torch.Tensor) -> torch.Tensor:
        """Return the largest other logit minus that of the class, (M,); below 0 the class is still predicted."""
        logits = self.logits_without(patch_sets)
        class_logit = logits[:, self.index].clone()
        logits[:, self.index] = -torch.inf
        return logits.amax(dim=1) - class_logit

    def pruned(self, patch_set: torch.Tensor) -> torch.Tensor:
        """Restore patches (rows, columns) that are not needed to change the class, most dispensable first."""
        for _ in range(ROUNDS):
            single = torch.eye(patch_set.numel(), dtype=torch.bool, device=patch_set.device)[patch_set.flatten()]
            single = single.reshape(-1, *patch_set.shape)
            margins = self.margins(patch_set & ~single)
            spare = single[margins.argsort(descending=True, stable=True)][: int((margins > 0).sum())]
            if len(spare) == 0:
                break
            # Each of these can be restored alone. Restore as many of them together as possible; one always is.
            smaller_sets = patch_set & ~spare.cumsum(dim=0).bool()
            patch_set = smaller_sets[int((self.margins(smaller_sets) > 0).nonzero().amax())]
        return patch_set


def _boxes(patch_set: torch.Tensor) -> list[Edges]:
    """Cover patches (rows, columns) by few disjoint boxes: runs in a row, merged with equal runs in the next row."""
    rows, columns = patch_set.shape
    boxes: list[tuple[int, int, int, int]] = []
    for row in range(rows):
        line = [False, *patch_set[row].tolist(), False]
        starts, ends = (
            [column for column in range(columns + 1) if line[column : column + 2] == edge]
            for edge in ([False, True], [True, False])
        )
        for start, end in zip(starts, ends, strict=True):
            above = next((box for box in boxes if (box[0], box[2], box[3]) == (start, end, row)), None)
            if above:
                boxes.remove(above)
            boxes.append((start, above[1] if above else row, end, row + 1))
    return [(left / columns, top / rows, right / columns, bottom / rows) for left, top, right, bottom in boxes]
