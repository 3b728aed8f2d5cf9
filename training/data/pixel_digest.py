"""Digests of what an image shows, whatever file it is in.

Two images have one digest if their decoded pixels are equal, without tolerance: after EXIF orientation, on white where
they are transparent, gray or RGB. So a copy is found with other compression, other metadata, another palette, or as
PNG instead of a lossless WebP. A lossy copy, such as a JPEG that was saved again, has other pixels: see near_copies.py.
"""

from __future__ import annotations

import hashlib

import numpy as np

# Rows of an image that `sample` looks at. All rows of a photo would take half as long as decoding it.
ROWS = 16


def sample(pixels: np.ndarray) -> bytes:
    """Return a digest of some rows of an image (H, W) or (H, W, 3): equal images have the same, few others have."""
    return _digest(rows(pixels), len(pixels))


def rows(pixels: np.ndarray) -> np.ndarray:
    """Return the rows that `sample` looks at, (R, W) or (R, W, 3): ROWS of them, or up to twice as many."""
    return pixels[:: max(1, len(pixels) // ROWS)]


def full(pixels: np.ndarray) -> bytes:
    """Return a digest of all pixels of an image (H, W) or (H, W, 3): equal images have the same, and no others."""
    return _digest(pixels, len(pixels))


def _digest(pixels: np.ndarray, height: int) -> bytes:
    # Check one row first: in nearly all images with color, one row shows it.
    if pixels.ndim == 3 and _is_gray(pixels[len(pixels) // 2]) and _is_gray(pixels):
        pixels = pixels[..., 0]  # gray, saved with three channels
    start = f"{pixels.shape[1]} {height} {pixels.ndim} {pixels.dtype}"
    return hashlib.sha256(start.encode() + np.ascontiguousarray(pixels).tobytes()).digest()


def _is_gray(pixels: np.ndarray) -> bool:
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return np.array_equal(red, green) and np.array_equal(red, blue)
