"""Regions of the image with most of the evidence, as boxes and as a sentence.

The first box is the one on a grid of cells that maximizes its share of the evidence minus AREA_PRICE times its share of
the area: much evidence in little space. The next boxes are found in the same way in the remaining cells. Evidence for
and against the class within one cell cancels out. Shares refer to the evidence after that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional

from handlers.explain.methods import patches

# Cells along a side of the image. The sides of the boxes lie on this grid.
CELLS = 16
MAX_BOXES = 3
# A higher price makes boxes smaller. With this one they fit closely what people would point at, on photos of 32 pixels.
AREA_PRICE = 1.5
# Boxes with a smaller share of the evidence, or a larger share of the area, are left out.
MIN_SHARE = 0.1
MAX_AREA = 0.7
# The sentence mentions evidence against the class if it has at least this share of all evidence.
SUBSTANTIAL = 0.3
# Number of positions in a sentence.
MAX_POSITIONS = 2
# Names of positions: left, top, right, bottom as shares of the image.
POSITIONS = {
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
"""Left, top, right, bottom as shares of the image, 0 to 1."""
Box = tuple[int, int, int, int]
"""Left, top, right, bottom in pixels of the image; right and bottom are exclusive."""


def in_pixels(edges: Edges, size: tuple[int, int]) -> Box:
    """Convert edges to whole pixels of an image of this width and height: at least one pixel in each direction."""
    width, height = size
    left, top = min(round(edges[0] * width), width - 1), min(round(edges[1] * height), height - 1)
    return left, top, max(round(edges[2] * width), left + 1), max(round(edges[3] * height), top + 1)


@dataclass(frozen=True, slots=True)
class Region:
    """A part of the image.

    Attributes:
        share: share of all evidence of its sign, 0 to 1.
        position: name of the position, a key of POSITIONS.
    """

    box: Box
    share: float
    position: str

    def members(self) -> dict[str, Any]:
        """Return the members in JSON."""
        return {"box": list(self.box), "share": round(self.share, 3)}


@dataclass(frozen=True, slots=True)
class Regions:
    """The boxes with most of the evidence, largest share first; none if the evidence is spread out or zero.

    Attributes:
        balance: share of all evidence that speaks for the target, 0 to 1; None if there is no evidence.
    """

    evidence_for: tuple[Region, ...]
    against: tuple[Region, ...]
    balance: float | None

    def members(self) -> dict[str, Any]:
        """Return the members in JSON."""
        return {
            "for": [region.members() for region in self.evidence_for],
            "against": [region.members() for region in self.against],
            "balance": None if self.balance is None else round(self.balance, 3),
        }


def find(heat: torch.Tensor, size: tuple[int, int]) -> Regions:
    """Find the regions of a signed map.

    Args:
        heat: (h, w), map of the part of the image that the network sees.
        size: width and height of that part in pixels.
    """
    cells = _smooth(patches.evidence(heat[None].double(), CELLS))[0]
    positive, negative = cells.clamp(min=0), (-cells).clamp(min=0)
    total = float(positive.sum() + negative.sum())
    balance = float(positive.sum()) / total if total > 0 else None
    return Regions(_boxes(positive, size), _boxes(negative, size), balance)


def sentence(regions: Regions, label: str, against: str | None = None) -> str:
    """Describe the regions: '62 % of the evidence for "frog" lies in the upper left.'

    Args:
        label: label of the explained class.
        against: label of the class B of a contrast, "why A and not B".
    """
    target = f'"{label}"' if against is None else f'"{label}" rather than "{against}"'
    if regions.balance is None:
        return f"There is no evidence for or against {target}."
    if regions.balance == 0:
        text = f"There is no evidence for {target}"
    elif regions.evidence_for:
        text = _shares(regions.evidence_for, f"of the evidence for {target} lies")
    else:
        text = f"The evidence for {target} is spread over the whole image"
    if 1 - regions.balance < SUBSTANTIAL:
        return f"{text}."
    locations = _shares(regions.against, "of that") if regions.against else "spread over the whole image"
    return f"{text}. {_percent(1 - regions.balance)} of all evidence speaks against it, {locations}."


def _shares(regions: Sequence[Region], subject: str) -> str:
    """Name the share of `subject` at each position, largest first; boxes at the same position are merged."""
    shares: dict[str, float] = {}
    for region in regions:
        shares[region.position] = shares.get(region.position, 0) + region.share
    (first, largest_share), *smaller = sorted(shares.items(), key=lambda item: -item[1])[:MAX_POSITIONS]
    additions = (f"{_percent(share)} {position}" for position, share in smaller)
    return ", ".join([f"{_percent(largest_share)} {subject} {first}", *additions])


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _smooth(cells: torch.Tensor) -> torch.Tensor:
    """Average each cell with its neighbors, (N, rows, columns): a map is not exact to one cell."""
    kernel = cells.new_tensor([1, 2, 1]) / 4
    padded = functional.pad(cells[:, None], (1, 1, 1, 1))
    return functional.conv2d(padded, (kernel[:, None] * kernel).view(1, 1, 3, 3))[:, 0]


def _boxes(evidence: torch.Tensor, size: tuple[int, int]) -> tuple[Region, ...]:
    """Find the boxes of evidence of one sign, (rows, columns), values of at least 0."""
    total = evidence.sum()
    if total <= 0:
        return ()
    shares = evidence / total
    gain = shares - AREA_PRICE / shares.numel()
    rows, columns = shares.shape
    regions: list[Region] = []
    while len(regions) < MAX_BOXES:
        top, bottom, left, right = _best(gain)
        cells = slice(top, bottom), slice(left, right)
        share = float(shares[cells].sum())
        if share < MIN_SHARE or shares[cells].numel() > MAX_AREA * shares.numel():
            break
        gain[cells] = -1  # no box gains more than 1, so later boxes avoid these cells
        edges = (left / columns, top / rows, right / columns, bottom / rows)
        regions.append(Region(in_pixels(edges, size), share, _position(edges)))
    return tuple(sorted(regions, key=lambda region: -region.share))


def _best(gain: torch.Tensor) -> tuple[int, int, int, int]:
    """Return the box of cells with the largest sum: first row, end row, first column, end column (exclusive)."""
    rows, columns = gain.shape
    sums = functional.pad(gain.cumsum(0).cumsum(1), (1, 0, 1, 0))
    top, bottom = torch.triu_indices(rows + 1, rows + 1, 1)
    left, right = torch.triu_indices(columns + 1, columns + 1, 1)
    bands = sums[bottom] - sums[top]
    boxes = bands[:, right] - bands[:, left]
    band, side = divmod(int(boxes.argmax()), boxes.shape[1])
    return int(top[band]), int(bottom[band]), int(left[side]), int(right[side])


def _position(edges: Edges) -> str:
    """Return the name of the position with the largest intersection over union; of equal ones the nearest."""

    def overlap(named: Edges) -> tuple[float, float]:
        left, top = max(edges[0], named[0]), max(edges[1], named[1])
        right, bottom = min(edges[2], named[2]), min(edges[3], named[3])
        common = max(right - left, 0) * max(bottom - top, 0)
        distance = math.hypot(edges[0] + edges[2] - named[0] - named[2], edges[1] + edges[3] - named[1] - named[3])
        return round(common / (_area(edges) + _area(named) - common), 6), -distance

    return max(POSITIONS, key=lambda name: overlap(POSITIONS[name]))


def _area(edges: Edges) -> float:
    return (edges[2] - edges[0]) * (edges[3] - edges[1])
