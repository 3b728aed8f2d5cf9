"""Colors for signed evidence, which color-blind people can tell apart: cold against, warm for."""

from __future__ import annotations

from functools import cache
from typing import Literal

import numpy as np
from PIL import ImageColor

Sign = Literal["both", "positive"]

# Odd, so that one of them is 0.
LEVELS = 255
# From the strongest evidence against to the strongest for. The first three are ColorBrewer's with 11 classes (Brewer,
# colorbrewer2.org), PuOr and BrBG turned round; the others are every 25.5th of Crameri's (doi 10.5281/zenodo.1243862),
# even to the eye: vik is light in the middle, berlin dark, for radiographs.
_STOPS = {
    "rdbu": "#053061 #2166ac #4393c3 #92c5de #d1e5f0 #f7f7f7 #fddbc7 #f4a582 #d6604d #b2182b #67001f",
    "puor": "#2d004b #542788 #8073ac #b2abd2 #d8daeb #f7f7f7 #fee0b6 #fdb863 #e08214 #b35806 #7f3b08",
    "brbg": "#003c30 #01665e #35978f #80cdc1 #c7eae5 #f5f5f5 #f6e8c3 #dfc27d #bf812d #8c510a #543005",
    "vik": "#001261 #023a7b #116496 #5496b7 #a7c9da #ece5e0 #e1b8a0 #cd8961 #b75a26 #852206 #590008",
    "berlin": "#9eb0ff #60a5df #3280a6 #20526a #112732 #190c09 #371000 #5f1f0a #964a36 #ca7b71 #ffadad",
}
NAMES = tuple(_STOPS)
# Evidence laid over a picture takes its color from these parts of each half: nearer to the middle it would have none,
# and the very ends are too dark to be told from each other.
_PALEST, _STRONGEST = 0.45, 0.84


@cache
def ramp(name: str) -> np.ndarray:
    """The colors of a map without a picture: uint8 (LEVELS, 3) for shares of the scale from -1 to 1."""
    return _at(name, shares())


@cache
def tints(name: str) -> np.ndarray:
    """The colors that are laid over a picture, likewise; how opaque each is, is for who lays them."""
    return _at(name, np.sign(shares()) * (_PALEST + (_STRONGEST - _PALEST) * np.abs(shares())))


@cache
def shares() -> np.ndarray:
    """The share of the scale that each level stands for: float64 (LEVELS,), from -1 to 1."""
    return np.linspace(-1, 1, LEVELS)


def levels(share: np.ndarray) -> np.ndarray:
    """Shares of the scale from -1 to 1 -> the nearest levels, uint8 of the same shape."""
    return ((share + 1) * ((LEVELS - 1) / 2) + 0.5).astype(np.uint8)


def _at(name: str, places: np.ndarray) -> np.ndarray:
    stops = np.array([ImageColor.getrgb(stop) for stop in _STOPS[name].split()], dtype=float)
    known = np.linspace(-1, 1, len(stops))
    channels = [np.interp(places, known, stops[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)
