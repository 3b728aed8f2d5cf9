"""Gray images of 16 bits: the network sees 8 of them, and a warning says if too much detail is lost."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from models.window import Percentiles

# Shades of gray, of the 256, that the values must spread over to avoid a warning.
_ENOUGH_SHADES = 64


@dataclass(frozen=True, slots=True)
class SixteenBits:
    """The gray images of 16 bits in a data set: how many there are, and their lowest and highest value (`extent`)."""

    images: int
    low: int
    high: int

    def warning(self, window: tuple[int, int] | Percentiles) -> str | None:
        """Return a warning about the detail that is lost when `window` becomes 0 to 255; None if enough is left.

        Args:
            window: `input.window` of the recipe or card. Percentiles follow the values of each image, so they never
                cause a warning.
        """
        if isinstance(window, Percentiles):
            return None
        black, white = window
        visible = min(self.high, white) - max(self.low, black)
        shades = max(0, round(255 * visible / (white - black))) + 1
        needed = min(_ENOUGH_SHADES, self.high - self.low + 1)
        lost = max(self.high - white, black - self.low, 0)
        if shades >= needed and not lost:
            return None
        # What microscopes and X-ray detectors give: 10, 12 or 14 bits in the lower part of 16.
        bits = max(8, self.high.bit_length())
        how = f"set input.window to the values that matter, such as [{self.low}, {self.high}]"
        how += f" or [0, {2**bits - 1}]" if bits < 16 else ""
        what = f"{shades:,} shades of gray are left of them" if not lost else "some are beyond it"
        return (
            f"{self.images:,} gray images of 16 bits use the values {self.low} to {self.high}, while input.window is "
            f"[{black}, {white}]: {what}; {how} (--set input.window=[{self.low},{self.high}]), or to percentiles of "
            "each image (--set 'input.window={percentiles: [1, 99]}')"
        )


def values(content: bytes) -> np.ndarray | None:
    """Return the values of a gray PNG of 16 bits, (H, W); None for any other image, which is not decoded."""
    # The bit depth and the color type in a PNG's first chunk; 0 is gray (www.w3.org/TR/png, 11.2.1).
    if not content.startswith(b"\x89PNG") or content[24:26] != b"\x10\x00":
        return None
    with Image.open(io.BytesIO(content)) as image:
        return np.asarray(image)


def is_cut(content: bytes) -> bool:
    """Return whether an image is a PNG of 16 bits that is not gray alone: Pillow reads the upper 8 bits."""
    return content.startswith(b"\x89PNG") and content[24:25] == b"\x10" and content[25:26] != b"\0"


def extent(values: np.ndarray) -> tuple[int, int]:
    """Return the lowest and highest value, without the 0.1 % at each end: a hot pixel says nothing about the range."""
    low, high = np.quantile(values, (0.001, 0.999), method="nearest").tolist()
    return int(low), int(high)


def summary(ranges: Sequence[tuple[int, int]]) -> SixteenBits | None:
    """Return what gray images of 16 bits use, given the lowest and highest value of each; None where there is none."""
    if not ranges:
        return None
    return SixteenBits(len(ranges), min(low for low, _ in ranges), max(high for _, high in ranges))
