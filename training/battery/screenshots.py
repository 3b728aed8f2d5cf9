"""Drawn screenshots: windows with text, buttons, lists and tables. Each number gives another one, always the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Color = tuple[int, int, int]
Box = tuple[int, int, int, int]
Random = np.random.Generator

# Width and height in pixels: a wide window, an old screen, a square window and a telephone.
SIZES = ((480, 300), (400, 300), (360, 360), (270, 480))
FONT_SIZES = (11, 13, 15)
WORDS = (
    "File Edit View Help Open Save Cancel Search Settings Report Total Name Date Status Sent Inbox Draft Invoice Order "
    "error warning line value the a of to in 2024 17:30 42 3.14 return import user server ready done failed"
).split()


def draw(number: int) -> np.ndarray:
    """Return the screenshot of this number: uint8 (H, W, 3)."""
    random = np.random.default_rng(number)
    width, height = SIZES[number % len(SIZES)]
    is_dark = bool(random.random() < 0.3)
    paper, ink = _shades(random, is_dark=is_dark)
    accent: Color = _color(random, 40, 215)
    image = Image.new("RGB", (width, height), paper)
    canvas = ImageDraw.Draw(image)
    bar = int(random.integers(18, 36))
    canvas.rectangle((0, 0, width, bar), fill=accent)
    _write(canvas, (8, bar // 2 - 8), _words(random, 4), (255, 255, 255), 13)
    content = _PARTS[int(random.integers(len(_PARTS)))]
    side = int(random.integers(60, 110)) if random.random() < 0.5 else 0
    if side:
        canvas.rectangle((0, bar, side, height), fill=_mixed(paper, ink, 0.1))
        _text(canvas, (6, bar + 8, side - 4, height), random, ink)
    content(canvas, (side + 12, bar + 12, width - 12, height - 40), random, ink)
    _buttons(canvas, (side + 12, height - 32, width - 12, height - 8), random, accent)
    if random.random() < 0.3:
        _dialog(canvas, (width, height), random, paper, ink, accent)
    return np.asarray(image)


def _text(canvas: ImageDraw.ImageDraw, box: Box, random: Random, ink: Color) -> None:
    """Draw lines of text."""
    left, top, right, bottom = box
    size = FONT_SIZES[int(random.integers(len(FONT_SIZES)))]
    for y in range(top, bottom - size, round(1.5 * size)):
        words = max(1, int((right - left) / (4 * size) * random.uniform(0.4, 1.1)))
        _write(canvas, (left, y), _words(random, words), ink, size)


def _table(canvas: ImageDraw.ImageDraw, box: Box, random: Random, ink: Color) -> None:
    """Draw a table with lines between its cells."""
    left, top, right, bottom = box
    columns, height = int(random.integers(2, 6)), int(random.integers(18, 28))
    step = (right - left) // columns
    for y in range(top, bottom, height):
        canvas.line((left, y, left + columns * step, y), fill=ink)
        for x in range(left, left + columns * step, step):
            if y + height < bottom:
                _write(canvas, (x + 4, y + 3), _words(random, 1), ink, 11)
    for x in range(left, left + columns * step + 1, step):
        canvas.line((x, top, x, bottom - (bottom - top) % height), fill=ink)


def _form(canvas: ImageDraw.ImageDraw, box: Box, random: Random, ink: Color) -> None:
    """Draw labels with fields beside them."""
    left, top, right, bottom = box
    middle = left + (right - left) // 3
    for y in range(top, bottom - 22, 32):
        _write(canvas, (left, y + 4), _words(random, 1), ink, 13)
        canvas.rectangle((middle, y, right, y + 22), outline=ink)
        _write(canvas, (middle + 4, y + 4), _words(random, 2), ink, 11)


def _chart(canvas: ImageDraw.ImageDraw, box: Box, random: Random, ink: Color) -> None:
    """Draw a bar chart with axes."""
    left, top, right, bottom = box
    count = int(random.integers(4, 10))
    step = (right - left) // count
    color = _color(random, 30, 220)
    for index in range(count):
        height = int((bottom - top) * random.uniform(0.1, 0.95))
        canvas.rectangle((left + index * step + 4, bottom - height, left + (index + 1) * step - 4, bottom), fill=color)
    canvas.line((left, top, left, bottom), fill=ink, width=2)
    canvas.line((left, bottom, right, bottom), fill=ink, width=2)


_PARTS: tuple[Callable[[ImageDraw.ImageDraw, Box, Random, Color], None], ...] = (_text, _table, _form, _chart)


def _buttons(canvas: ImageDraw.ImageDraw, box: Box, random: Random, accent: Color) -> None:
    left, top, right, bottom = box
    width = 64
    for x in range(left, min(right - width, left + 3 * (width + 10)), width + 10):
        canvas.rounded_rectangle((x, top, x + width, bottom), radius=5, fill=accent)
        _write(canvas, (x + 8, (top + bottom) // 2 - 7), _words(random, 1), (255, 255, 255), 11)


def _dialog(
    canvas: ImageDraw.ImageDraw, size: tuple[int, int], random: Random, paper: Color, ink: Color, accent: Color
) -> None:
    """Draw a window in front of the others."""
    width, height = size
    left, top = int(width * random.uniform(0.1, 0.25)), int(height * random.uniform(0.2, 0.35))
    right, bottom = width - left, height - top
    canvas.rectangle((left, top, right, bottom), fill=paper, outline=ink)
    canvas.rectangle((left, top, right, top + 20), fill=accent)
    _text(canvas, (left + 10, top + 30, right - 10, bottom - 10), random, ink)


def _words(random: Random, count: int) -> list[str]:
    return [WORDS[index] for index in random.integers(len(WORDS), size=count)]


def _write(canvas: ImageDraw.ImageDraw, corner: tuple[int, int], words: Sequence[str], ink: Color, size: int) -> None:
    """Write words from their upper left corner. Each word is drawn once and then copied: text is slow to draw."""
    x, y = corner
    for word in words:
        mask = _word(word, size)
        canvas.bitmap((x, y), mask, fill=ink)
        x += mask.width + size // 3


@cache
def _word(word: str, size: int) -> Image.Image:
    """Return the coverage of each pixel by a word, in gray."""
    font = ImageFont.load_default(size)
    mask = Image.new("L", (max(1, round(font.getlength(word))), round(1.4 * size)))
    ImageDraw.Draw(mask).text((0, 0), word, fill=255, font=font)
    return mask


def _shades(random: Random, *, is_dark: bool) -> tuple[Color, Color]:
    """Return the colors of background and text."""
    return (_color(random, 15, 55), _color(random, 190, 240)) if is_dark else (_color(random, 232, 255), (30, 30, 30))


def _color(random: Random, low: int, high: int) -> Color:
    red, green, blue = (int(value) for value in random.integers(low, high + 1, 3))
    return red, green, blue


def _mixed(first: Color, second: Color, share: float) -> Color:
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(first, second, strict=True))
    return red, green, blue
