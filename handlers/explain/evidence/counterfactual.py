"""What would have to be gone for the answer to be another one: a small set of patches that, blurred, changes the class.

Patches are blurred in the order of the evidence for the class until the network answers another one; then those that
were not needed are put back. The search is greedy, like that of Goyal et al. ("Counterfactual Visual Explanations",
arXiv 1904.07451), who take the patches from another image: the set is small, and not always the smallest there is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from handlers.explain.methods import patches
from handlers.explain.methods.method import rows_at_once
from handlers.explain.methods.patches import Logits
from handlers.explain.rendering.regions import Box, Edges, in_pixels

ROUNDS = 6


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """What of the picture has to be blurred.

    Attributes:
        boxes: that cover just these patches, in pixels of the picture.
        share: of the picture, 0 to 1.
        becomes: the index of the class that is answered then.
        probability: of that class.
    """

    boxes: tuple[Box, ...]
    share: float
    becomes: int
    probability: float

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it; the label of `becomes` is not known here."""
        return {
            "boxes": [list(box) for box in self.boxes],
            "share": round(self.share, 3),
            "index": self.becomes,
            "probability": round(self.probability, 6),
        }


def find(
    logits: Logits, image: torch.Tensor, blurred: torch.Tensor, heat: torch.Tensor, index: int, size: tuple[int, int]
) -> Counterfactual | None:
    """Search for one image.

    Args:
        logits: of the network, divided by the temperature where `probability` is to be a calibrated one.
        image: normalized, (1, 3, H, W).
        blurred: the same, blurred.
        heat: the evidence for class `index`, (H, W), signed.
        index: the class that the network answers for the image.
        size: width and height in pixels of the picture of just what the network sees.

    Returns:
        None where the class stays until all is blurred, or is not `index` to begin with.

    Costs at most 1 + 2 * ROUNDS passes of at most MAX_ROWS images.
    """
    evidence = patches.evidence(heat[None])[0]
    order = evidence.flatten().argsort(descending=True, stable=True)
    ranks = order.argsort().reshape(evidence.shape)
    search = _Search(logits, image, blurred, index)
    more_and_more = ranks < torch.arange(len(order), device=image.device)[:, None, None]
    changed = search.margins(more_and_more) > 0
    if changed[0] or not changed.any():
        return None
    taken = search.pruned(more_and_more[int(changed.int().argmax())])
    probabilities = search.seen(taken[None])[0].double().softmax(dim=0)
    becomes = int(probabilities.argmax())
    share = float(patches.pixels(taken[None], *image.shape[2:]).float().mean())
    boxes = tuple(in_pixels(edges, size) for edges in _boxes(taken))
    return Counterfactual(boxes, share, becomes, float(probabilities[becomes]))


@dataclass(frozen=True, slots=True)
class _Search:
    logits: Logits
    image: torch.Tensor
    blurred: torch.Tensor
    index: int

    def seen(self, taken: torch.Tensor) -> torch.Tensor:
        """The logits (M, classes) of the image with the patches blurred that are taken, bool (M, rows, columns)."""

        def changed(part: slice) -> torch.Tensor:
            images, fill = (tensor.expand(len(taken[part]), -1, -1, -1) for tensor in (self.image, self.blurred))
            return patches.without(images, fill, taken[part])

        return patches.chunked(self.logits, len(taken), changed, rows_at_once(self.image))

    def margins(self, taken: torch.Tensor) -> torch.Tensor:
        """By how much the class is beaten by another one, (M,), in logits; below 0 it is still answered."""
        found = self.seen(taken)
        own = found[:, self.index].clone()
        found[:, self.index] = -torch.inf
        return found.amax(dim=1) - own

    def pruned(self, taken: torch.Tensor) -> torch.Tensor:
        """The same patches (rows, columns) without those that the class changes without, most dispensable first."""
        for _ in range(ROUNDS):
            alone = torch.eye(taken.numel(), dtype=torch.bool, device=taken.device)[taken.flatten()]
            alone = alone.reshape(-1, *taken.shape)
            margins = self.margins(taken & ~alone)
            spare = alone[margins.argsort(descending=True, stable=True)][: int((margins > 0).sum())]
            if len(spare) == 0:
                break
            # Of those that can be put back one by one, as many as can be put back together: the first always can.
            fewer = taken & ~spare.cumsum(dim=0).bool()
            taken = fewer[int((self.margins(fewer) > 0).nonzero().amax())]
        return taken


def _boxes(taken: torch.Tensor) -> list[Edges]:
    """Patches (rows, columns) as few boxes that do not overlap: runs along a row, and below them the same runs."""
    rows, columns = taken.shape
    found: list[tuple[int, int, int, int]] = []
    for row in range(rows):
        line = [False, *taken[row].tolist(), False]
        starts, ends = (
            [column for column in range(columns + 1) if line[column : column + 2] == edge]
            for edge in ([False, True], [True, False])
        )
        for start, end in zip(starts, ends, strict=True):
            above = next((box for box in found if (box[0], box[2], box[3]) == (start, end, row)), None)
            if above:
                found.remove(above)
            found.append((start, above[1] if above else row, end, row + 1))
    return [(left / columns, top / rows, right / columns, bottom / rows) for left, top, right, bottom in found]
