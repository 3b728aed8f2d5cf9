"""Where in the picture the evidence lies: a few boxes with their share of it, and the same in words.

Of all boxes on a grid of cells, that one is taken whose share of the evidence exceeds its share of the picture most,
each per cent of area counted AREA_PRICE times: much evidence in little space. The next is found likewise beside it.
Within a cell, evidence for and against cancels out; shares are of what is left.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from handlers.explain.methods import patches

# Cells along a side, which the boxes' sides lie on.
CELLS = 16
MOST = 3
# Higher makes boxes smaller. At this one they lie close around what people would point at, on photos of 32 pixels.
AREA_PRICE = 1.5
# What is less is not worth a box, and what is larger is no place.
LEAST_SHARE = 0.1
LARGEST_BOX = 0.7
# Evidence against is spoken of where it is at least this share of all there is.
SUBSTANTIAL = 0.3
# A sentence that names more is not read.
MOST_PLACES = 2
# What places are called: left, top, right, bottom as shares of the picture.
PLACES = {
    "in the upper left": (0.0, 0.0, 0.5, 0.5),
    "in the upper right": (0.5, 0.0, 1.0, 0.5),
    "in the lower left": (0.0, 0.5, 0.5, 1.0),
    "in the lower right": (0.5, 0.5, 1.0, 1.0),
    "in the upper left corner": (0.0, 0.0, 0.25, 0.25),
    "in the upper right corner": (0.75, 0.0, 1.0, 0.25),
    "in the lower left corner": (0.0, 0.75, 0.25, 1.0),
    "in the lower right corner": (0.75, 0.75, 1.0, 1.0),
    "in the middle": (0.25, 0.25, 0.75, 0.75),
    "in the middle of the top": (0.25, 0.0, 0.75, 0.4),
    "in the middle of the bottom": (0.25, 0.6, 0.75, 1.0),
    "in the middle of the left side": (0.0, 0.25, 0.4, 0.75),
    "in the middle of the right side": (0.6, 0.25, 1.0, 0.75),
    "in the left half": (0.0, 0.0, 0.5, 1.0),
    "in the right half": (0.5, 0.0, 1.0, 1.0),
    "in the upper half": (0.0, 0.0, 1.0, 0.5),
    "in the lower half": (0.0, 0.5, 1.0, 1.0),
    "in a band across the middle": (0.0, 0.25, 1.0, 0.75),
    "in a band down the middle": (0.25, 0.0, 0.75, 1.0),
}

Edges = tuple[float, float, float, float]
"""Left, top, right, bottom as shares of the picture, 0 to 1."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the picture; right and bottom are the first that lie outside."""


def in_pixels(edges: Edges, size: tuple[int, int]) -> Box:
    """The same in whole pixels of a picture of this width and height, at least one each way."""
    width, height = size
    left, top = min(round(edges[0] * width), width - 1), min(round(edges[1] * height), height - 1)
    return left, top, max(round(edges[2] * width), left + 1), max(round(edges[3] * height), top + 1)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the picture.

    Attributes:
        share: of all evidence with its sign, 0 to 1.
        place: where it is, in words.
    """

    box: Box
    share: float
    place: str

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it."""
        return {"box": list(self.box), "share": round(self.share, 3)}


@dataclass(frozen=True, slots=True)
class Regions:
    """The boxes that hold most of the evidence, the fullest first; none where it is spread, or there is none.

    Attributes:
        balance: of all evidence, the share that speaks for the target, 0 to 1; None where there is no evidence.
    """

    evidence_for: tuple[Region, ...]
    against: tuple[Region, ...]
    balance: float | None

    def members(self) -> dict[str, Any]:
        """The JSON members that an answer has for it."""
        return {
            "for": [region.members() for region in self.evidence_for],
            "against": [region.members() for region in self.against],
            "balance": None if self.balance is None else round(self.balance, 3),
        }


def find(heat: torch.Tensor, size: tuple[int, int]) -> Regions:
    """The regions of a signed map.

    Args:
        heat: (h, w), of what the network sees.
        size: width and height in pixels of the picture of just that.
    """
    cells = _smooth(patches.evidence(heat[None].double(), CELLS))[0]
    positive, negative = cells.clamp(min=0), (-cells).clamp(min=0)
    total = float(positive.sum() + negative.sum())
    balance = float(positive.sum()) / total if total > 0 else None
    return Regions(_boxes(positive, size), _boxes(negative, size), balance)


def sentence(regions: Regions, label: str, against: str | None = None) -> str:
    """Where the evidence lies, as people would say it: '62 % of the evidence for "frog" lies in the upper left.'

    Evidence against it is spoken of where it is much.

    Args:
        label: of the class that is explained.
        against: that of a contrast, "why A and not B".
    """
    what = f'"{label}"' if against is None else f'"{label}" rather than "{against}"'
    if regions.balance is None:
        return f"There is no evidence for or against {what}."
    if regions.balance == 0:
        said = f"There is no evidence for {what}"
    elif regions.evidence_for:
        said = _shares(regions.evidence_for, f"of the evidence for {what} lies")
    else:
        said = f"The evidence for {what} is spread over the whole image"
    if 1 - regions.balance < SUBSTANTIAL:
        return f"{said}."
    where = _shares(regions.against, "of that") if regions.against else "spread over the whole image"
    return f"{said}. {_percent(1 - regions.balance)} of all evidence speaks against it, {where}."


def _shares(regions: Sequence[Region], what: str) -> str:
    """The share of `what` in each place, largest first; boxes of the same place are one."""
    shares: dict[str, float] = {}
    for region in regions:
        shares[region.place] = shares.get(region.place, 0) + region.share
    (first, most), *others = sorted(shares.items(), key=lambda item: -item[1])[:MOST_PLACES]
    return ", ".join([f"{_percent(most)} {what} {first}", *(f"{_percent(share)} {place}" for place, share in others)])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _smooth(cells: torch.Tensor) -> torch.Tensor:
    """Each cell with its neighbors, (N, rows, columns): a map is not exact to a cell."""
    kernel = cells.new_tensor([1, 2, 1]) / 4
    padded = functional.pad(cells[:, None], (1, 1, 1, 1))
    return functional.conv2d(padded, (kernel[:, None] * kernel).view(1, 1, 3, 3))[:, 0]


def _boxes(evidence: torch.Tensor, size: tuple[int, int]) -> tuple[Region, ...]:
    """The boxes of evidence of one sign, (rows, columns), none of it below 0."""
    total = evidence.sum()
    if total <= 0:
        return ()
    shares = evidence / total
    gain = shares - AREA_PRICE / shares.numel()
    rows, columns = shares.shape
    found: list[Region] = []
    while len(found) < MOST:
        top, bottom, left, right = _best(gain)
        part = slice(top, bottom), slice(left, right)
        share = float(shares[part].sum())
        if share < LEAST_SHARE or shares[part].numel() > LARGEST_BOX * shares.numel():
            break
        gain[part] = -1  # no box is worth more than 1, so that none takes in a part of this one
        edges = (left / columns, top / rows, right / columns, bottom / rows)
        found.append(Region(in_pixels(edges, size), share, _place(edges)))
    return tuple(sorted(found, key=lambda region: -region.share))


def _best(gain: torch.Tensor) -> tuple[int, int, int, int]:
    """The box of cells with the largest sum: its first row, the one after its last, and likewise its columns."""
    rows, columns = gain.shape
    sums = functional.pad(gain.cumsum(0).cumsum(1), (1, 0, 1, 0))
    top, bottom = torch.triu_indices(rows + 1, rows + 1, 1)
    left, right = torch.triu_indices(columns + 1, columns + 1, 1)
    bands = sums[bottom] - sums[top]
    boxes = bands[:, right] - bands[:, left]
    band, side = divmod(int(boxes.argmax()), boxes.shape[1])
    return int(top[band]), int(bottom[band]), int(left[side]), int(right[side])


def _place(edges: Edges) -> str:
    """What the place of a box is called: that of PLACES that shares most with it, the nearest of these."""

    def likeness(place: Edges) -> tuple[float, float]:
        left, top = max(edges[0], place[0]), max(edges[1], place[1])
        right, bottom = min(edges[2], place[2]), min(edges[3], place[3])
        common = max(right - left, 0) * max(bottom - top, 0)
        distance = math.hypot(edges[0] + edges[2] - place[0] - place[2], edges[1] + edges[3] - place[1] - place[3])
        return round(common / (_area(edges) + _area(place) - common), 6), -distance

    return max(PLACES, key=lambda name: likeness(PLACES[name]))


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])
