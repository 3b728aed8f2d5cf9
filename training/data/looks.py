"""Sentences about images that show little: one color, a small part of the 256 shades, or nothing on white."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from models.printable import printable
from training.data.checks import Item
from training.data.left_out import listed

# Of the 256 shades. A data set that uses fewer was converted wrongly, such as 12 bits of 16 to 8.
_FEW_SHADES = 32


def findings(items: Sequence[Item]) -> list[str]:
    """Return sentences about images that show little."""
    return [*_lost(items), *_few_shades(items)]


def _lost(items: Sequence[Item]) -> list[str]:
    lost = [printable(item.name) for item in items if item.appearance.is_lost]
    if not lost:
        return []
    return [
        f"{len(lost):,} of {len(items):,} images are transparent, and show next to nothing on the white background "
        f"that they get ({listed(lost)}): save them without transparency, on a background that shows their content"
    ]


def _few_shades(items: Sequence[Item]) -> list[str]:
    """Return the sentence about the shades that images of 8 bits use, without the 1 % darkest and brightest images."""
    narrow = [item.appearance for item in items if item.appearance.values is None and not item.appearance.is_lost]
    if not narrow:
        return []
    lows, highs = zip(*(appearance.shades for appearance in narrow), strict=True)
    low = int(np.quantile(lows, 0.01, method="nearest"))
    high = int(np.quantile(highs, 0.99, method="nearest"))
    if low == high or high - low >= _FEW_SHADES:
        return []
    sentence = (
        f"the images use the values {low} to {high} of 0 to 255: {high - low + 1} shades are little to learn from. "
        "Convert the original images again, with the range of their values"
    )
    cut = sum(appearance.is_cut for appearance in narrow)
    if cut:
        sentence += (
            f". {cut:,} of them are PNG files of 16 bits with colors or transparency, of which the upper 8 bits are "
            "read: input.window applies to gray images without transparency"
        )
    return [sentence]
