"""A gray picture stays gray until it is resized, and gives the pixels that its RGB would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from handlers.modalities.image import images
from models.card import Input
from tests.unit.handlers.modalities.image.test_images import SPEC, encoded


@pytest.mark.parametrize("size", [(96, 96), (3, 5), (61, 200), (24, 24)])
@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("form", [Image.Image.copy, np.array], ids=["image", "array"])
def test_gray_is_resized_to_the_pixels_that_its_rgb_is_resized_to(
    size: tuple[int, int], resize: str, form: Callable[[Image.Image], images.Picture]
) -> None:
    spec = Input(size=24, resize=resize, mean=SPEC.mean, std=SPEC.std)
    drawn = Image.effect_noise(size, 90)
    gray, colored = form(drawn), form(drawn.convert("RGB"))
    for pixels_of in (images.pixels, images.before_crop):
        found = pixels_of(gray, spec)
        assert torch.equal(found, pixels_of(colored, spec))
        assert (found[0] == found[2]).all()
    seen = images.view(gray, spec).image
    assert (seen.mode, seen.tobytes()) == ("RGB", images.view(colored, spec).image.tobytes())


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_gray_file_gives_the_pixels_of_its_rgb(format_: str) -> None:
    gray = images.decode(encoded(Image.effect_noise((96, 70), 90), format_))
    colored = np.stack([gray] * 3, axis=2) if isinstance(gray, np.ndarray) else gray.convert("RGB")
    assert torch.equal(images.pixels(gray, SPEC), images.pixels(colored, SPEC))


def twelve_bits(high: int) -> np.ndarray:
    """Values from 400 to `high`, of the 4,096 that a detector gives, in 16 bits."""
    return np.linspace(400, high, 64).reshape(8, 8).astype(np.uint16)


def test_range_of_16_bits_keeps_what_the_full_range_loses() -> None:
    spec = Input(size=8, mean=(0, 0, 0), std=(1, 1, 1))
    window = spec.model_copy(update={"range_16bit": (400, 600)})
    healthy, ill = (encoded(Image.fromarray(twelve_bits(high))) for high in (499, 599))
    lost = [images.pixels(images.picture(content, spec), spec) for content in (healthy, ill)]
    assert (lost[0].int() - lost[1].int()).abs().max() <= 1
    seen = [images.pixels(images.picture(content, window), window) for content in (healthy, ill)]
    assert [pixels.max().item() for pixels in seen] == [126, 254]
    assert [pixels.min().item() for pixels in seen] == [0, 0]


def test_array_of_16_bits_is_seen_as_its_png_is() -> None:
    for window in ((0, 65_535), (400, 600), (450, 500)):
        spec = Input(size=8, range_16bit=window, mean=(0, 0, 0), std=(1, 1, 1))
        values = twelve_bits(599)
        as_png = images.pixels(images.picture(encoded(Image.fromarray(values)), spec), spec)
        assert torch.equal(images.pixels(images.picture(values, spec), spec), as_png)
        assert torch.equal(images.pixels(images.picture(np.stack([values] * 3, axis=2), spec), spec), as_png)


def test_transparency_of_an_array_of_16_bits_has_the_full_range() -> None:
    pixels = np.full((4, 4, 4), 500, np.uint16)
    pixels[..., 3] = 65_535
    assert np.unique(np.asarray(images.from_array(pixels, (400, 600)))).tolist() == [128]


@pytest.mark.parametrize("wrong", [(600, 400), (5, 5), (-1, 9), (0, 65_536)])
def test_range_that_is_none_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValidationError):
        Input(size=8, range_16bit=wrong, mean=(0, 0, 0), std=(1, 1, 1))
