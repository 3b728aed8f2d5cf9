"""The legend below an overlay: class, probability, color scale, method and model version."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handlers.explain.rendering.colormaps import Sign

# Pixels. An image narrower than the strip is centered above it.
MIN_WIDTH = 384
HEIGHT = 92
_MARGIN = 8
_LARGE, _SMALL = 17, 13
# Characters of a label; longer labels never fit.
_MAX_LABEL_LENGTH = 150
_BAR_TOP, _BAR_HEIGHT = 33, 14
_INK, _GRAY, _PAPER = (20, 20, 20), (85, 85, 85), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Class:
    """A class that a legend names."""

    index: int
    label: str

    def __str__(self) -> str:
        """Return the label, without accents if the font lacks them, or the index if the font lacks the script."""
        label = " ".join(self.label[:_MAX_LABEL_LENGTH].split())
        without_accents = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
        return next((text for text in (label, without_accents) if text and all(map(_has, text))), f"class {self.index}")


@dataclass(frozen=True, slots=True)
class Caption:
    """The text of a legend.

    Attributes:
        title: title of the method.
        target: the explained class.
        against: the class B of a contrast, "why A and not B".
        probability: probability of the target, from 0 to 1; None leaves it out.
        version: name and version of the model, such as "digits 1.0".
        unit: unit of the scale; "" if the values of the method have none.
    """

    title: str
    target: Class
    against: Class | None = None
    probability: float | None = None
    version: str = ""
    unit: str = "logits per input pixel"


@dataclass(frozen=True, slots=True)
class Scale:
    """The color scale.

    Attributes:
        top: the value at the end of the scale; 0 if the map is zero everywhere.
        colors: colors from -top to top, uint8 (n, 3).
        sign: "positive" shows only the half from 0 to top.
    """

    top: float
    colors: np.ndarray
    sign: Sign


def below(image: Image.Image, caption: Caption, scale: Scale) -> Image.Image:
    """Return the image with the strip below it, RGB, at least MIN_WIDTH pixels wide."""
    width = max(image.width, MIN_WIDTH)
    canvas = Image.new("RGB", (width, image.height + HEIGHT), _PAPER)
    canvas.paste(image, ((width - image.width) // 2, 0))
    canvas.paste(strip(caption, scale, width), (0, image.height))
    return canvas


def colors(scale: Scale) -> np.ndarray:
    """Return the colors that the strip needs, uint8 (n, 3), n < 64: those of the scale, and grays for text."""
    positions = np.linspace(0, len(scale.colors) - 1, 41).round().astype(int)
    grays = np.linspace(_INK, _PAPER, 12).round().astype(np.uint8)
    return np.concatenate([grays, scale.colors[positions]])


def strip(caption: Caption, scale: Scale, width: int) -> Image.Image:
    """Draw the strip alone, RGB, `width` pixels wide and HEIGHT high."""
    image = Image.new("RGB", (width, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    left, right = _MARGIN, width - _MARGIN
    inner_width = right - left

    probability = "" if caption.probability is None else f"probability {_percent(caption.probability)}"
    _right(draw, right, 7, probability, _LARGE, _INK)
    _left(draw, left, 7, _title(caption, inner_width - _length(probability, _LARGE) - 2 * _MARGIN), _LARGE, _INK)

    source = ", ".join(filter(None, (caption.title, caption.version)))
    bottom = _BAR_TOP + _BAR_HEIGHT + 23
    if not scale.top:
        # Without evidence there is nothing to color, so a color scale would mislead.
        _left(draw, left, _BAR_TOP, cut(_no_evidence(caption, scale.sign), inner_width, _SMALL), _SMALL, _INK)
        _left(draw, left, bottom, cut(source, inner_width, _SMALL), _SMALL, _GRAY)
        return image

    signed = scale.sign == "both"
    visible_colors = scale.colors if signed else scale.colors[len(scale.colors) // 2 :]
    bar = Image.fromarray(visible_colors[None]).resize((inner_width, _BAR_HEIGHT), Image.Resampling.NEAREST)
    image.paste(bar, (left, _BAR_TOP))
    draw.rectangle((left, _BAR_TOP, right - 1, _BAR_TOP + _BAR_HEIGHT - 1), outline=_GRAY)

    below_bar = _BAR_TOP + _BAR_HEIGHT + 3
    if signed:
        middle = width // 2
        draw.line((middle, _BAR_TOP, middle, _BAR_TOP + _BAR_HEIGHT + 2), fill=_GRAY)
        draw.text((middle, below_bar), "0", _INK, _font(_SMALL), anchor="ma")
        opposite = f"speaks for {caption.against}" if caption.against else "speaks against"
        _left(
            draw,
            left,
            below_bar,
            cut(f"-{scale.top:.2g}  {opposite}", inner_width // 2 - 2 * _MARGIN, _SMALL),
            _SMALL,
            _INK,
        )
    else:
        _left(draw, left, below_bar, "0", _SMALL, _INK)
    number = f"  +{scale.top:.2g}"
    meaning = f"speaks for {caption.target}" if caption.against else "speaks for"
    meaning = cut(meaning, inner_width // 2 - 2 * _MARGIN - _length(number, _SMALL), _SMALL)
    _right(draw, right, below_bar, meaning + number, _SMALL, _INK)

    _right(draw, right, bottom, caption.unit, _SMALL, _GRAY)
    source_width = inner_width - _length(caption.unit, _SMALL) - 2 * _MARGIN
    _left(draw, left, bottom, cut(source, source_width, _SMALL), _SMALL, _GRAY)
    return image


def _no_evidence(caption: Caption, sign: Sign) -> str:
    relation = "for" if sign == "positive" else "for or against"
    target = f"{caption.target}" if caption.against is None else f"{caption.target} rather than {caption.against}"
    return f"No evidence {relation} {target}: nothing is colored"


def cut(text: str, width: float, size: int) -> str:
    """Shorten `text` with an ellipsis to at most `width` pixels in the font of this size."""
    if _length(text, size) <= width:
        return text
    fits = bisect_right(range(1, len(text)), width, key=lambda end: _length(text[:end] + "…", size))
    return text[:fits].rstrip() + "…"


def _title(caption: Caption, width: float) -> str:
    if caption.against is None:
        return cut(f"Why {caption.target}", width, _LARGE)
    frame = "Why {} and not {}"
    half = (width - _length(frame.format("", ""), _LARGE)) / 2
    second = cut(str(caption.against), half, _LARGE)
    first = cut(str(caption.target), 2 * half - _length(second, _LARGE), _LARGE)
    return frame.format(first, second)


def _percent(share: float) -> str:
    """Format a share; only exact values become 0 % or 100 %."""
    return f"{100 * min(max(share, 0.001), 0.999):.1f} %" if 0 < share < 1 else f"{100 * share:.0f} %"


def _left(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int, ink: tuple[int, int, int]) -> None:
    draw.text((x, y), text, ink, _font(size))


def _right(draw: ImageDraw.ImageDraw, x: float, y: float, text: str, size: int, ink: tuple[int, int, int]) -> None:
    draw.text((x, y), text, ink, _font(size), anchor="ra")


def _length(text: str, size: int) -> float:
    return _font(size).getlength(text)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, which legends need: install a Pillow wheel from PyPI")
    return font


@cache
def _missing() -> bytes:
    return bytes(_font(_LARGE).getmask("\uffff"))


@cache
def _has(character: str) -> bool:
    """Return whether the font has the character; missing characters are drawn as the same box."""
    return character == " " or (character.isprintable() and bytes(_font(_LARGE).getmask(character)) != _missing())
