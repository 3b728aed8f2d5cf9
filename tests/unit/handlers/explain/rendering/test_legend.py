from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from handlers.explain.rendering import colormaps, legend
from handlers.explain.rendering.colormaps import Sign
from handlers.explain.rendering.legend import HEIGHT, MIN_WIDTH, Caption, Class, Scale

FROG = Class(6, "frog")


def strip(caption: Caption, sign: Sign = "both", top: float = 0.25, width: int = 512) -> np.ndarray:
    return np.asarray(legend.strip(caption, Scale(top, colormaps.ramp("rdbu"), sign), width)).astype(int)


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("frog", "frog"),
        ("  two\nlines ", "two lines"),
        ("Crème brûlée", "Creme brulee"),
        ("猫", "class 6"),
        ("cat 猫", "class 6"),
        ("\u202e", "class 6"),
        ("", "class 6"),
    ],
)
def test_a_label_that_the_font_cannot_write_is_the_number_of_the_class(label: str, text: str) -> None:
    assert str(Class(6, label)) == text


def test_a_long_label_ends_in_an_ellipsis_and_fits() -> None:
    shown = legend.cut("a label that goes on and on", 100, 13)
    assert shown.startswith("a label")
    assert shown.endswith("…")
    assert legend.cut("frog", 100, 13) == "frog"


@pytest.mark.parametrize("width", [MIN_WIDTH, 512])
def test_legend_text_never_overlaps_the_probability(width: int) -> None:
    sure = strip(Caption("", Class(0, "i"), probability=0.5), width=width)[:30, -170:]
    long = strip(Caption("", Class(0, "W" * 500), Class(1, "M" * 500), 0.5), width=width)[:30, -170:]
    assert (sure < 128).any()
    assert np.array_equal(sure, long)


def test_the_scale_starts_at_0_where_only_evidence_for_is_shown() -> None:
    both, positive = strip(Caption("", FROG))[40], strip(Caption("", FROG), "positive")[40]
    assert both[20, 2] > both[20, 0] + 40
    assert both[-20, 0] > both[-20, 2] + 40
    assert positive[20].min() > 230
    assert positive[-20, 0] > positive[-20, 2] + 40


@pytest.mark.parametrize(
    "other",
    [
        Caption("Grad-CAM", FROG, None, 0.5, "1.0"),
        Caption("Integrated Gradients", Class(3, "cat"), None, 0.5, "1.0"),
        Caption("Integrated Gradients", FROG, Class(3, "cat"), 0.5, "1.0"),
        Caption("Integrated Gradients", FROG, None, 0.6, "1.0"),
        Caption("Integrated Gradients", FROG, None, None, "1.0"),
        Caption("Integrated Gradients", FROG, None, 0.5, "2.0"),
        Caption("Integrated Gradients", FROG, None, 0.5, "1.0", unit=""),
    ],
)
def test_everything_that_the_caption_says_is_seen(other: Caption) -> None:
    assert not np.array_equal(strip(other), strip(Caption("Integrated Gradients", FROG, None, 0.5, "1.0")))


def test_the_ends_of_the_scale_are_written_below_it() -> None:
    assert not np.array_equal(strip(Caption("", FROG), top=0.25), strip(Caption("", FROG), top=0.5))


@pytest.mark.parametrize("sign", ["both", "positive"])
def test_legend_without_evidence_has_words_and_no_color_scale(sign: Sign) -> None:
    empty = strip(Caption("Grad-CAM", FROG, None, 0.5, "1.0"), sign, top=0)
    assert empty.shape == (HEIGHT, 512, 3)
    assert np.ptp(empty, axis=2).max() == 0
    other = strip(Caption("Grad-CAM", Class(3, "cat"), None, 0.5, "1.0"), sign, top=0)
    assert not np.array_equal(empty[30:60], other[30:60]), "the class without evidence is named"


def test_a_narrow_picture_stands_in_the_middle_above_the_strip() -> None:
    picture = Image.new("RGB", (10, 40), (0, 0, 0))
    canvas = legend.below(picture, Caption("", FROG), Scale(1.0, colormaps.ramp("vik"), "both"))
    assert canvas.size == (MIN_WIDTH, 40 + HEIGHT)
    assert canvas.getpixel((MIN_WIDTH // 2, 20)) == (0, 0, 0)
    assert canvas.getpixel((MIN_WIDTH // 2 - 8, 20)) == (255, 255, 255)
