"""The strip below an explanation's picture: which class, how probable, what the colors mean, by which method."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from handlers.explain.rendering.colormaps import Sign

# Pixels. A picture that is narrower than the strip stands in the middle above it.
LEAST_WIDTH = 384
HEIGHT = 92
_MARGIN = 8
_LARGE, _SMALL = 17, 13
# Characters of a label; no strip has room for more.
_LONGEST = 150
_BAR_TOP, _BAR_HEIGHT = 33, 14
_INK, _GREY, _PAPER = (20, 20, 20), (85, 85, 85), (255, 255, 255)


@dataclass(frozen=True, slots=True)
class Class:
    """A class that a picture names."""

    index: int
    label: str

    def __str__(self) -> str:
        """Its label, without accents if the font has none, or its number if the font lacks the script."""
        label = " ".join(self.label[:_LONGEST].split())
        plain = "".join(c for c in unicodedata.normalize("NFKD", label) if not unicodedata.combining(c))
        return next((text for text in (label, plain) if text and all(map(_has, text))), f"class {self.index}")


@dataclass(frozen=True, slots=True)
class Caption:
    """What the strip says.

    Attributes:
        title: of the method.
        target: the class that is explained.
        against: of a contrast, "why A and not B", the B.
        probability: of the target, from 0 to 1; None leaves it out.
        version: of the model, such as "digits 1.0".
        unit: of the numbers at the scale; "" where the method's values have none.
    """

    title: str
    target: Class
    against: Class | None = None
    probability: float | None = None
    version: str = ""
    unit: str = "logits per input pixel"


@dataclass(frozen=True, slots=True)
class Scale:
    """What the colors stand for.

    Attributes:
        top: the value at its end; 0 where the map is zero everywhere.
        colors: from -top to top, uint8 (n, 3).
        sign: "positive" shows its half from 0 on.
    """

    top: float
    colors: np.ndarray
    sign: Sign


def below(picture: Image.Image, caption: Caption, scale: Scale) -> Image.Image:
    """The picture with the strip below it, RGB, at least LEAST_WIDTH pixels wide."""
    width = max(picture.width, LEAST_WIDTH)
    whole = Image.new("RGB", (width, picture.height + HEIGHT), _PAPER)
    whole.paste(picture, ((width - picture.width) // 2, 0))
    whole.paste(strip(caption, scale, width), (0, picture.height))
    return whole


def colors(scale: Scale) -> np.ndarray:
    """Those that the strip cannot do without, uint8 (n, 3), n < 64: of the scale, and of ink on paper."""
    places = np.linspace(0, len(scale.colors) - 1, 41).round().astype(int)
    grays = np.linspace(_INK, _PAPER, 12).round().astype(np.uint8)
    return np.concatenate([grays, scale.colors[places]])


def strip(caption: Caption, scale: Scale, width: int) -> Image.Image:
    """The strip alone, RGB, `width` pixels wide and HEIGHT high."""
    image = Image.new("RGB", (width, HEIGHT), _PAPER)
    draw = ImageDraw.Draw(image)
    left, right = _MARGIN, width - _MARGIN
    room = right - left

    sure = "" if caption.probability is None else f"probability {_percent(caption.probability)}"
    _right(draw, right, 7, sure, _LARGE, _INK)
    _left(draw, left, 7, _question(caption, room - _length(sure, _LARGE) - 2 * _MARGIN), _LARGE, _INK)

    signed = scale.sign == "both"
    shown = scale.colors if signed else scale.colors[len(scale.colors) // 2 :]
    bar = Image.fromarray(shown[None]).resize((room, _BAR_HEIGHT), Image.Resampling.NEAREST)
    image.paste(bar, (left, _BAR_TOP))
    draw.rectangle((left, _BAR_TOP, right - 1, _BAR_TOP + _BAR_HEIGHT - 1), outline=_GREY)

    under = _BAR_TOP + _BAR_HEIGHT + 3
    if signed:
        middle = width // 2
        draw.line((middle, _BAR_TOP, middle, _BAR_TOP + _BAR_HEIGHT + 2), fill=_GREY)
        draw.text((middle, under), "0", _INK, _font(_SMALL), anchor="ma")
        other = f"speaks for {caption.against}" if caption.against else "speaks against"
        _left(draw, left, under, cut(f"-{scale.top:.2g}  {other}", room // 2 - 2 * _MARGIN, _SMALL), _SMALL, _INK)
    else:
        _left(draw, left, under, "0", _SMALL, _INK)
    number = f"  +{scale.top:.2g}"
    says = f"speaks for {caption.target}" if caption.against else "speaks for"
    says = cut(says, room // 2 - 2 * _MARGIN - _length(number, _SMALL), _SMALL)
    _right(draw, right, under, says + number, _SMALL, _INK)

    last = under + 20
    unit = caption.unit if scale.top else "no evidence anywhere"
    _right(draw, right, last, unit, _SMALL, _GREY)
    made = ", ".join(filter(None, (caption.title, caption.version)))
    _left(draw, left, last, cut(made, room - _length(unit, _SMALL) - 2 * _MARGIN, _SMALL), _SMALL, _GREY)
    return image


def cut(text: str, width: float, size: int) -> str:
    """`text`, or as much of its beginning as `width` pixels hold in the font of this size, and an ellipsis."""
    if _length(text, size) <= width:
        return text
    fits = bisect_right(range(1, len(text)), width, key=lambda end: _length(text[:end] + "…", size))
    return text[:fits].rstrip() + "…"


def _question(caption: Caption, width: float) -> str:
    if caption.against is None:
        return cut(f"Why {caption.target}", width, _LARGE)
    frame = "Why {} and not {}"
    half = (width - _length(frame.format("", ""), _LARGE)) / 2
    second = cut(str(caption.against), half, _LARGE)
    first = cut(str(caption.target), 2 * half - _length(second, _LARGE), _LARGE)
    return frame.format(first, second)


def _percent(share: float) -> str:
    """Never 100 % or 0 % for what only comes near it."""
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
        raise RuntimeError("this Pillow was built without FreeType, which legends are written with")
    return font


@cache
def _missing() -> bytes:
    return bytes(_font(_LARGE).getmask("\uffff"))


@cache
def _has(character: str) -> bool:
    """Whether the font has it: what it lacks is drawn as a box, the same for all."""
    return character == " " or (character.isprintable() and bytes(_font(_LARGE).getmask(character)) != _missing())
