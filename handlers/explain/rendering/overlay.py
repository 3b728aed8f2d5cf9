"""An attribution as a picture: the image as it is seen, and over it what speaks for the class and against it.

Where there is evidence, the image steps back: it loses its colors, and its darkest and brightest parts come nearer to
gray, so that the evidence's colors are seen on any image. Elsewhere it stays as it came.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageFilter

from handlers.explain.rendering import colormaps, legend
from handlers.explain.rendering.colormaps import LEVELS, Sign
from handlers.explain.rendering.legend import Caption, Scale
from handlers.modalities.image.images import VIEW_SIDE

Resolution = Literal["original", "model"]
Shape = tuple[int, int]  # width, height in pixels

# One stray pixel must not wash out the rest: the scale ends at this percentile of the absolute values.
SCALE_PERCENTILE = 99.0
# A whole PNG has at most this many bytes, unless the resolution is "model". At LEAST_SIDE, noise costs at most one
# byte for each pixel, which is less.
MOST_BYTES = 150_000
LEAST_SIDE = 360
# Of images with fewer pixels than this along a side, which show no more at VIEW_SIDE, for twice the time.
SMALL_SIDE = 384
# Where a deadline leaves no time for more.
HURRIED_SIDE = 256
# More pixels of a photo than these seldom fit: to begin with them saves drawing it twice.
_DETAIL = 200_000
# Weak evidence is seen too: opacity grows with this power of its share of the scale.
_GAMMA = 0.7
# Cells along the long side: of the zone where the image steps back, and of the outlines.
_ZONE_CELLS, _OUTLINE_CELLS, _FEWEST_CELLS = 32, 12, 3
# The image's gray within the zone: from, and how much of its range.
_DARKEST, _RANGE = 45, 0.78
# The outlines lie where the smoothed map has this share of its largest value.
_OUTLINE_SHARE = 0.5
_HALO, _LINE, _DASH = (255, 255, 255), (0, 0, 0), 8
# A palette is found from so many pixels along the long side.
_PALETTE_SIDE = 64
_NO_COLORS = np.zeros((0, 3), dtype=np.uint8)
# What the scale's colors are seen on.
_BAR_PAPER = (225, 225, 225)


@dataclass(frozen=True, slots=True)
class Style:
    """How a picture is drawn.

    Attributes:
        alpha: how opaque the strongest evidence is, from 0 to 1.
        colormap: one of colormaps.NAMES.
        sign: evidence for and against, or for alone.
        resolution: "original" keeps the shape of the image and adds a legend; the long side is VIEW_SIDE if the bytes
            allow, or SMALL_SIDE for images that are not larger. "model" draws one pixel for each pixel of the network's
            input, without a legend, for programs.
        side: at most so long is the long side, where there is little time.
    """

    alpha: float = 0.85
    colormap: str = "rdbu"
    sign: Sign = "both"
    resolution: Resolution = "original"
    side: int = VIEW_SIDE


def overlay(image: Image.Image, heat: np.ndarray, caption: Caption, style: Style) -> bytes:
    """Lay a map over the image that it was made from; PNG with a palette.

    Args:
        image: RGB, what the network saw (images.view); the map was made from all of it, stretched to the map's shape.
        heat: float32 (h, w), signed. What is not finite counts as 0.

    A map of zeros leaves the image as it is. Cells of a coarse map stay cells: smoothing them would show more than the
    map says. Only the outlines, solid for and dashed against, are of a smoothed copy.
    """
    share, top = _scaled(heat, style.sign)
    opacity = (style.alpha * np.abs(colormaps.shares()) ** _GAMMA * 255).astype(np.uint8)
    tints = colormaps.tints(style.colormap)

    def drawn(size: Shape) -> Image.Image:
        fitted = _fitted(share, size)
        level = colormaps.levels(fitted)
        opaque = Image.fromarray(opacity[level])
        base = _stepped_back(image.resize(size, Image.Resampling.BICUBIC), opaque)
        laid = Image.composite(Image.fromarray(tints[level]), base, opaque)
        return _outlined(laid, fitted) if style.resolution == "original" and style.alpha else laid

    paper = Image.new("RGB", (LEVELS, 1), _BAR_PAPER)
    bar = np.asarray(Image.composite(Image.fromarray(tints[None]), paper, Image.fromarray(opacity[None])))[0]
    return _png(drawn, image.size, heat.shape, style, caption, Scale(top, bar, style.sign))


def heatmap(heat: np.ndarray, caption: Caption, style: Style, size: Shape) -> bytes:
    """Draw a map (h, w) alone, in the shape of an image of `size` pixels; PNG with a palette."""
    share, top = _scaled(heat, style.sign)
    ramp = colormaps.ramp(style.colormap)

    def drawn(size: Shape) -> Image.Image:
        return Image.fromarray(ramp[colormaps.levels(_fitted(share, size))])

    return _png(drawn, size, heat.shape, style, caption, Scale(top, ramp, style.sign))


def _scaled(heat: np.ndarray, sign: Sign) -> tuple[np.ndarray, float]:
    """The map as shares of its scale, float32 (h, w) from -1 to 1, and the value at the scale's end."""
    heat = np.nan_to_num(heat.astype(np.float32), nan=0, posinf=0, neginf=0)
    if sign == "positive":
        heat = heat.clip(min=0)
    strength = np.abs(heat)
    top = float(np.percentile(strength, SCALE_PERCENTILE)) or float(strength.max())
    return (heat / (top or 1.0)).clip(-1, 1), top


def _fitted(share: np.ndarray, size: Shape) -> np.ndarray:
    """The map at another size, its cells left as they are, or averaged where there are more of them than pixels."""
    return np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BOX)).clip(-1, 1)


def _stepped_back(image: Image.Image, opaque: Image.Image) -> Image.Image:
    zone = opaque.resize(_sized(image.size, _ZONE_CELLS), Image.Resampling.BOX).filter(ImageFilter.MaxFilter(3))
    zone = zone.filter(ImageFilter.GaussianBlur(1)).point([min(255, 4 * level) for level in range(256)])
    gray = image.convert("L").point([round(_DARKEST + _RANGE * level) for level in range(256)]).convert("RGB")
    return Image.composite(gray, image, zone.resize(image.size, Image.Resampling.BICUBIC))


def _outlined(image: Image.Image, share: np.ndarray) -> Image.Image:
    """Draw a line around the strongest evidence, for people and printers that know no colors."""
    cells = _sized(image.size, _OUTLINE_CELLS)
    if min(cells) < _FEWEST_CELLS:
        return image
    coarse = Image.fromarray(share).resize(cells, Image.Resampling.BILINEAR)
    smooth = np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC))
    least = _OUTLINE_SHARE * float(np.abs(smooth).max())
    rows, columns = np.ogrid[: image.height, : image.width]
    dashes = (rows // _DASH + columns // _DASH) % 2 == 0
    for inside, shown in ((smooth > least, True), (smooth < -least, dashes)):
        if inside.any():
            line = _grown(inside)
            image.paste(_HALO, mask=Image.fromarray(_grown(_grown(line)) & ~inside & shown))
            image.paste(_LINE, mask=Image.fromarray(line & ~inside & shown))
    return image


def _grown(mask: np.ndarray) -> np.ndarray:
    """A mask with its neighbors above, below and beside."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _png(
    drawn: Callable[[Shape], Image.Image],
    shape: Shape,
    cells: tuple[int, ...],
    style: Style,
    caption: Caption,
    scale: Scale,
) -> bytes:
    if style.resolution == "model":
        return _encoded(drawn((cells[1], cells[0])), _NO_COLORS)
    side = max(drawn_size(shape, style.side))
    while True:
        whole = legend.below(drawn(_sized(shape, side)), caption, scale)
        content = _encoded(whole, legend.colors(scale))
        if len(content) <= MOST_BYTES or side <= LEAST_SIDE:
            return content
        # What is shown smaller has a little more detail in each pixel.
        side = max(LEAST_SIDE, int(0.97 * side * (MOST_BYTES / len(content)) ** 0.5))


def drawn_size(shape: Shape, most: int = VIEW_SIDE) -> Shape:
    """How large an image of this size is drawn at first, without its legend: at most so long."""
    if max(shape) <= SMALL_SIDE:
        return _sized(shape, min(SMALL_SIDE, most))
    width, height = _sized(shape, min(VIEW_SIDE, max(shape)))
    return _sized(shape, min(most, int(VIEW_SIDE * min(1.0, (_DETAIL / (width * height)) ** 0.5))))


def _encoded(image: Image.Image, kept: np.ndarray) -> bytes:
    """PNG with a palette of at most 256 colors, those `kept`, uint8 (n, 3), among them."""
    # Median cut over all pixels takes ten times as long for no better colors.
    every = max(1, max(image.size) // _PALETTE_SIDE)
    few = image.resize((-(-image.width // every), -(-image.height // every)), Image.Resampling.NEAREST)
    found = few.quantize(256 - len(kept), Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*kept.ravel().tolist(), *found])
    buffer = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()


def _sized(shape: Shape, side: int) -> Shape:
    """`shape` with its longer side at `side`."""
    factor = side / max(shape)
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
