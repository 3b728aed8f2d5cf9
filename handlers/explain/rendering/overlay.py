"""Overlay: the image with the evidence for and against the class laid over it. Heat map: the evidence alone.

Where there is evidence, the image fades: it loses its colors, and its darkest and brightest parts move toward gray. So
the colors of the evidence are visible on any image. Elsewhere the image does not change.
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

# The scale ends at this percentile of the absolute values, so that one extreme pixel does not make all others pale.
SCALE_PERCENTILE = 99.0
# A whole PNG has at most this many bytes, unless the resolution is "model". At MIN_SIDE, noise costs at most one
# byte for each pixel, which is less.
MAX_BYTES = 150_000
MIN_SIDE = 360
# Side of the overlay of images that are not larger. They show no more at VIEW_SIDE, and drawing takes twice as long.
SMALL_SIDE = 384
# Side of the overlay if the deadline leaves no time for more.
HURRIED_SIDE = 256
# Photos with more pixels than this seldom fit in MAX_BYTES. To start here saves drawing them twice.
_MAX_PIXELS = 200_000
# Opacity is the share of the scale to this power, so that weak evidence is visible too.
_GAMMA = 0.7
# Cells along the long side: of the faded zone, and of the outlines.
_ZONE_CELLS, _OUTLINE_CELLS, _MIN_CELLS = 32, 12, 3
# Gray levels within the faded zone: the darkest level, and the share of the range.
_DARKEST, _RANGE = 45, 0.78
# The outlines are where the smoothed map has this share of its largest value.
_OUTLINE_SHARE = 0.5
_HALO, _LINE, _DASH = (255, 255, 255), (0, 0, 0), 8
# A palette is computed from this number of pixels along the long side.
_PALETTE_SIDE = 64
_NO_COLORS = np.zeros((0, 3), dtype=np.uint8)
# Background of the color scale.
_BAR_BACKGROUND = (225, 225, 225)


@dataclass(frozen=True, slots=True)
class Style:
    """Settings of the renderer.

    Attributes:
        alpha: opacity of the strongest evidence, from 0 to 1.
        colormap: one of colormaps.NAMES.
        sign: evidence for and against the class, or only for it.
        resolution: "original" keeps the shape of the image and adds a legend; the long side is VIEW_SIDE if the bytes
            allow, or SMALL_SIDE for images that are not larger. "model" draws one pixel for each pixel of the network's
            input, without a legend, for programs.
        side: largest long side, smaller if there is little time.
    """

    alpha: float = 0.85
    colormap: str = "rdbu"
    sign: Sign = "both"
    resolution: Resolution = "original"
    side: int = VIEW_SIDE


def overlay(image: Image.Image, heat: np.ndarray, caption: Caption, style: Style) -> bytes:
    """Lay a map over its image; return a PNG with a palette.

    Args:
        image: RGB, the part that the network saw (images.view), stretched to the shape of the map.
        heat: float32 (h, w), signed. Values that are not finite count as 0.

    A map of zeros does not change the image. Cells of a coarse map stay visible: smoothing would show more than the map
    says. Only the outlines, solid for the class and dashed against it, use a smoothed copy.
    """
    share, top = _scaled(heat, style.sign)
    opacity = (style.alpha * np.abs(colormaps.shares()) ** _GAMMA * 255).astype(np.uint8)
    tints = colormaps.tints(style.colormap)

    def draw(size: Shape) -> Image.Image:
        fitted = _fitted(share, size)
        level = colormaps.levels(fitted)
        opaque = Image.fromarray(opacity[level])
        base = _faded(image.resize(size, Image.Resampling.BICUBIC), opaque)
        laid = Image.composite(Image.fromarray(tints[level]), base, opaque)
        return _outlined(laid, fitted) if style.resolution == "original" and style.alpha else laid

    background = Image.new("RGB", (LEVELS, 1), _BAR_BACKGROUND)
    bar = np.asarray(Image.composite(Image.fromarray(tints[None]), background, Image.fromarray(opacity[None])))[0]
    return _png(draw, image.size, heat.shape, style, caption, Scale(top, bar, style.sign))


def heatmap(heat: np.ndarray, caption: Caption, style: Style, size: Shape) -> bytes:
    """Draw a map (h, w) alone, in the shape of an image of `size` pixels; return a PNG with a palette."""
    share, top = _scaled(heat, style.sign)
    ramp = colormaps.ramp(style.colormap)

    def draw(size: Shape) -> Image.Image:
        return Image.fromarray(ramp[colormaps.levels(_fitted(share, size))])

    return _png(draw, size, heat.shape, style, caption, Scale(top, ramp, style.sign))


def _scaled(heat: np.ndarray, sign: Sign) -> tuple[np.ndarray, float]:
    """Return the map as shares of its scale, float32 (h, w) from -1 to 1, and the value at the end of the scale."""
    heat = np.nan_to_num(heat.astype(np.float32), nan=0, posinf=0, neginf=0)
    if sign == "positive":
        heat = heat.clip(min=0)
    strength = np.abs(heat)
    top = float(np.percentile(strength, SCALE_PERCENTILE)) or float(strength.max())
    return (heat / (top or 1.0)).clip(-1, 1), top


def _fitted(share: np.ndarray, size: Shape) -> np.ndarray:
    """Resize a map: its cells stay sharp, or are averaged if there are more cells than pixels."""
    return np.asarray(Image.fromarray(share).resize(size, Image.Resampling.BOX)).clip(-1, 1)


def _faded(image: Image.Image, opaque: Image.Image) -> Image.Image:
    zone = opaque.resize(_sized(image.size, _ZONE_CELLS), Image.Resampling.BOX).filter(ImageFilter.MaxFilter(3))
    zone = zone.filter(ImageFilter.GaussianBlur(1)).point([min(255, 4 * level) for level in range(256)])
    gray = image.convert("L").point([round(_DARKEST + _RANGE * level) for level in range(256)]).convert("RGB")
    return Image.composite(gray, image, zone.resize(image.size, Image.Resampling.BICUBIC))


def _outlined(image: Image.Image, share: np.ndarray) -> Image.Image:
    """Outline the strongest evidence, so that the overlay is readable without colors."""
    cells = _sized(image.size, _OUTLINE_CELLS)
    if min(cells) < _MIN_CELLS:
        return image
    coarse = Image.fromarray(share).resize(cells, Image.Resampling.BILINEAR)
    smoothed = np.asarray(coarse.resize(image.size, Image.Resampling.BICUBIC))
    threshold = _OUTLINE_SHARE * float(np.abs(smoothed).max())
    rows, columns = np.ogrid[: image.height, : image.width]
    dashes = (rows // _DASH + columns // _DASH) % 2 == 0
    for inside, visible in ((smoothed > threshold, True), (smoothed < -threshold, dashes)):
        if inside.any():
            line = _grown(inside)
            image.paste(_HALO, mask=Image.fromarray(_grown(_grown(line)) & ~inside & visible))
            image.paste(_LINE, mask=Image.fromarray(line & ~inside & visible))
    return image


def _grown(mask: np.ndarray) -> np.ndarray:
    """Grow a mask by one pixel in each of the four directions."""
    grown = mask.copy()
    grown[1:] |= mask[:-1]
    grown[:-1] |= mask[1:]
    grown[:, 1:] |= mask[:, :-1]
    grown[:, :-1] |= mask[:, 1:]
    return grown


def _png(
    draw: Callable[[Shape], Image.Image],
    shape: Shape,
    cells: tuple[int, ...],
    style: Style,
    caption: Caption,
    scale: Scale,
) -> bytes:
    if style.resolution == "model":
        return _encoded(draw((cells[1], cells[0])), _NO_COLORS)
    side = max(overlay_size(shape, style.side))
    while True:
        canvas = legend.below(draw(_sized(shape, side)), caption, scale)
        content = _encoded(canvas, legend.colors(scale))
        if len(content) <= MAX_BYTES or side <= MIN_SIDE:
            return content
        # A smaller image has a little more detail in each pixel.
        side = max(MIN_SIDE, int(0.97 * side * (MAX_BYTES / len(content)) ** 0.5))


def overlay_size(shape: Shape, max_side: int = VIEW_SIDE) -> Shape:
    """Return the first size to draw an image at, without its legend, and with at most this long side."""
    if max(shape) <= SMALL_SIDE:
        return _sized(shape, min(SMALL_SIDE, max_side))
    width, height = _sized(shape, min(VIEW_SIDE, max(shape)))
    return _sized(shape, min(max_side, int(VIEW_SIDE * min(1.0, (_MAX_PIXELS / (width * height)) ** 0.5))))


def _encoded(image: Image.Image, required_colors: np.ndarray) -> bytes:
    """Encode a PNG with a palette of at most 256 colors, which has the required colors, uint8 (n, 3)."""
    # Median cut over all pixels takes ten times as long for no better colors.
    stride = max(1, max(image.size) // _PALETTE_SIDE)
    thumbnail = image.resize((-(-image.width // stride), -(-image.height // stride)), Image.Resampling.NEAREST)
    colors = thumbnail.quantize(256 - len(required_colors), Image.Quantize.MEDIANCUT).getpalette() or []
    palette = Image.new("P", (1, 1))
    palette.putpalette([*required_colors.ravel().tolist(), *colors])
    buffer = io.BytesIO()
    image.quantize(palette=palette, dither=Image.Dither.NONE).save(buffer, "PNG")
    return buffer.getvalue()


def _sized(shape: Shape, side: int) -> Shape:
    """Scale `shape` so that its longer side is `side`."""
    factor = side / max(shape)
    return max(1, round(shape[0] * factor)), max(1, round(shape[1] * factor))
