"""Decoding of JPEG files at full speed or at a smaller size, and their number of scans.

libjpeg-turbo decodes straight into an array. Pillow uses the same library, and takes a third more time: it decodes to
rows of four bytes a pixel, from which the array is made, and reads the file piece by piece.
"""

from __future__ import annotations

import io
import math

import numpy as np
import simplejpeg
from PIL import Image
from PIL.ImageFile import ImageFile

FORMATS = ("JPEG", "MPO")  # a phone's multi-picture JPEG begins with the photo
# A progressive JPEG has some ten scans; each costs a pass over all pixels and as little as 44 bytes.
MAX_SCANS = 100
# Files with more scans are unusual: libjpeg-turbo may warn of them at the end, and Pillow would decode them again.
FEW_SCANS = 20
# Pillow's modes under libjpeg-turbo's names. CMYK and others are left to Pillow.
COLORS = {"RGB": "RGB", "L": "GRAY"}


def scans(content: bytes | bytearray | memoryview) -> int:
    """Count the scans of a JPEG: FF DA, at even and at odd offsets. bytes.count takes many times as long."""
    count = 0
    for first in (0, 1):
        pairs = np.frombuffer(content, dtype="<u2", count=(len(content) - first) // 2, offset=first)
        count += int(np.count_nonzero(pairs == 0xDAFF))
    return count


def reduce(image: Image.Image, short: int, long: int) -> bool:
    """Have an opened JPEG decoded at a half, quarter or eighth of its size, which the format gives away (DCT scaling).

    Never to less than `short` pixels on its short side, nor `long` on its long one. Returns whether it will be smaller.
    """
    before = image.size
    min_scale = max(short / min(before), long / max(before))
    image.draft(image.mode, (math.ceil(image.width * min_scale), math.ceil(image.height * min_scale)))
    return image.size != before


def decode(image: Image.Image, *, reduced: bool) -> np.ndarray | None:
    """Return the same pixels as Pillow: uint8 (H, W, 3), or (H, W) for a gray image.

    Args:
        image: opened from memory and not decoded, before or after `reduce`.
        reduced: what `reduce` returned.

    Returns:
        None if Pillow has to decode it: other colors, many scans, or any error or warning about the file.
    """
    file, colors = image.fp if isinstance(image, ImageFile) else None, COLORS.get(image.mode)
    if colors is None or not isinstance(file, io.BytesIO):
        return None
    content = file.getvalue()
    if scans(content) > FEW_SCANS:
        return None
    # Of the factors that give at least so many pixels it takes the smallest: of a reduced size, that of `reduce`.
    min_size = {"min_height": image.height, "min_width": image.width} if reduced else {}
    try:
        pixels: np.ndarray = simplejpeg.decode_jpeg(content, colors, **min_size)
    except ValueError:
        return None
    if pixels.shape[:2] != (image.height, image.width):
        return None
    return pixels[..., 0] if colors == "GRAY" else pixels
