"""Digests of what an image shows, whatever file it is in.

Two images have one digest if their decoded pixels are equal, without tolerance: after EXIF orientation, on white where
they are transparent, gray or RGB. So a copy is found with other compression, other metadata, another palette, or as
PNG instead of a lossless WebP. A lossy copy, such as a JPEG that was saved again, has other pixels and is not found.
"""

from __future__ import annotations

import hashlib

import numpy as np

# Rows of an image that `sample` looks at. All rows of a photo would take half as long as decoding it.
ROWS = 32


def sample(pixels: np.ndarray) -> bytes:
    """Return a digest of some rows of an image (H, W) or (H, W, 3): equal images have the same, few others have."""
    rows = np.linspace(0, len(pixels) - 1, min(ROWS, len(pixels))).astype(int)
    return _digest(pixels[rows], len(pixels))


def whole(pixels: np.ndarray) -> bytes:
    """Return a digest of all pixels of an image (H, W) or (H, W, 3): equal images have the same, and no others."""
    return _digest(pixels, len(pixels))


def _digest(pixels: np.ndarray, height: int) -> bytes:
    if pixels.ndim == 3 and bool((pixels[..., :1] == pixels[..., 1:]).all()):
        pixels = pixels[..., 0]  # gray, whatever it was saved as
    start = f"{pixels.shape[1]} {height} {pixels.ndim} {pixels.dtype}"
    return hashlib.sha256(start.encode() + np.ascontiguousarray(pixels).tobytes()).digest()
