"""Colormaps for signed evidence, readable with color blindness: cold colors against the class, warm colors for it."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from PIL import ImageColor

Sign = Literal["both", "positive"]

# Odd, so that one level is 0.
LEVELS = 255
# Colors from the strongest evidence against the class to the strongest evidence for it. rdbu, puor and brbg are from
# ColorBrewer with 11 classes (Brewer, colorbrewer2.org); PuOr and BrBG are reversed. vik and berlin are perceptually
# uniform, every 25.5th color of Crameri's (doi 10.5281/zenodo.1243862); berlin is dark in the middle, for radiographs.
_STOPS = {
    "rdbu": "#053061 #2166ac #4393c3 #92c5de #d1e5f0 #f7f7f7 #fddbc7 #f4a582 #d6604d #b2182b #67001f",
    "puor": "#2d004b #542788 #8073ac #b2abd2 #d8daeb #f7f7f7 #fee0b6 #fdb863 #e08214 #b35806 #7f3b08",
    "brbg": "#003c30 #01665e #35978f #80cdc1 #c7eae5 #f5f5f5 #f6e8c3 #dfc27d #bf812d #8c510a #543005",
    "vik": "#001261 #023a7b #116496 #5496b7 #a7c9da #ece5e0 #e1b8a0 #cd8961 #b75a26 #852206 #590008",
    "berlin": "#9eb0ff #60a5df #3280a6 #20526a #112732 #190c09 #371000 #5f1f0a #964a36 #ca7b71 #ffadad",
}
NAMES = tuple(_STOPS)
# An overlay takes its colors from this part of each half. Colors near the middle are too pale, and those near the ends
# are too dark to be distinguished.
_PALEST, _STRONGEST = 0.45, 0.84


@cache
def ramp(name: str) -> np.ndarray:
    """Return the colors of a map without an image: uint8 (LEVELS, 3) for shares of the scale from -1 to 1."""
    return _at(name, shares())


@cache
def tints(name: str) -> np.ndarray:
    """Return the colors of an overlay: uint8 (LEVELS, 3). The caller sets the opacity."""
    return _at(name, np.sign(shares()) * (_PALEST + (_STRONGEST - _PALEST) * np.abs(shares())))


@cache
def shares() -> np.ndarray:
    """Return the share of the scale of each level: float64 (LEVELS,), from -1 to 1."""
    return np.linspace(-1, 1, LEVELS)


def levels(share: np.ndarray) -> np.ndarray:
    """Return the nearest levels of shares from -1 to 1: uint8 of the same shape."""
    return ((share + 1) * ((LEVELS - 1) / 2) + 0.5).astype(np.uint8)


def _at(name: str, positions: np.ndarray) -> np.ndarray:
    stops = np.array([ImageColor.getrgb(stop) for stop in _STOPS[name].split()], dtype=float)
    stop_positions = np.linspace(-1, 1, len(stops))
    channels = [np.interp(positions, stop_positions, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
