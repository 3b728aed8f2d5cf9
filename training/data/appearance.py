"""The look of one image: its pixels, and what the checks of the data set need of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from handlers.modalities.image import images
from training.data import near_copies, pixel_digest, sixteen_bits

# An image whose least transparent pixel is fainter than this shows next to nothing.
_FAINT = 64
# Shades that an image on white must show, if its file has at least twice as many in colors or transparency.
_FEW_SHADES = 32


@dataclass(frozen=True, slots=True)
class Appearance:
    """Facts about an image after it was decoded.

    Attributes:
        thumbnail: small gray version for near_copies.py; None if the image is too small.
        shades: lowest and highest value of 8 bits, in the rows of pixel_digest.sample.
        values: lowest and highest value of a gray image of 16 bits; None of any other image.
        is_lost: transparency leaves next to nothing on the white background.
        is_cut: PNG of 16 bits with colors or transparency, of which the upper 8 bits are read.
    """

    thumbnail: bytes | None = None
    shades: tuple[int, int] = (0, 255)
    values: tuple[int, int] | None = None
    is_lost: bool = False
    is_cut: bool = False


NOTHING_SEEN = Appearance()


def look(content: bytes) -> tuple[np.ndarray, Appearance]:
    """Decode an image; return the pixels that tell it from others, and its appearance.

    Raises:
        RequestError: it cannot be served.
    """
    opened = images.open(content)
    picture = images.load(opened)
    pixels = np.asarray(picture)
    rows = pixel_digest.rows(pixels)
    shades = (int(rows.min()), int(rows.max()))
    values = sixteen_bits.values(content)
    if values is None:
        is_lost = isinstance(picture, Image.Image) and opened.has_transparency_data and _is_lost(opened, pixels)
        is_cut = sixteen_bits.is_cut(content)
        return pixels, Appearance(near_copies.thumbnail(picture), shades, is_lost=is_lost, is_cut=is_cut)
    extent = sixteen_bits.extent(values)
    appearance = Appearance(near_copies.thumbnail(values, extent), shades, extent)
    # Two images of 12 bits can differ and yet have the same 8, unless their 16 bits are made from 8.
    return (values if (values % 257).any() else pixels), appearance


def _is_lost(image: Image.Image, on_white: np.ndarray) -> bool:
    """Return whether an image with transparency shows next to nothing on white."""
    layer = np.asarray(image.convert("RGBA"))
    visible = layer[layer[..., 3] > 0]
    if not len(visible) or visible[:, 3].max() < _FAINT:
        return True
    shown = int(on_white.max()) - int(on_white.min())
    stored = int((visible.max(axis=0).astype(int) - visible.min(axis=0)).max())
    stored = max(stored, int(layer[..., 3].max()) - int(layer[..., 3].min()))
    return shown < _FEW_SHADES and stored >= 2 * max(shown, _FEW_SHADES)
