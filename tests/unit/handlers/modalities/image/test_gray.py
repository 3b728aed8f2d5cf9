"""A gray picture stays gray until it is resized, and gives the pixels that its RGB would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from handlers.modalities.image import images
from handlers.modalities.image.decoding import decode_images
from models.card import Input
from models.window import Percentiles
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
    window = spec.model_copy(update={"window": (400, 600)})
    healthy, ill = (encoded(Image.fromarray(twelve_bits(high))) for high in (499, 599))
    lost = [images.pixels(images.picture(content, spec), spec) for content in (healthy, ill)]
    assert (lost[0].int() - lost[1].int()).abs().max() <= 1
    seen = [images.pixels(images.picture(content, window), window) for content in (healthy, ill)]
    assert [pixels.max().item() for pixels in seen] == [126, 254]
    assert [pixels.min().item() for pixels in seen] == [0, 0]


def test_array_of_16_bits_is_seen_as_its_png_is() -> None:
    for window in ((0, 65_535), (400, 600), (450, 500)):
        spec = Input(size=8, window=window, mean=(0, 0, 0), std=(1, 1, 1))
        values = twelve_bits(599)
        as_png = images.pixels(images.picture(encoded(Image.fromarray(values)), spec), spec)
        assert torch.equal(images.pixels(images.picture(values, spec), spec), as_png)
        assert torch.equal(images.pixels(images.picture(np.stack([values] * 3, axis=2), spec), spec), as_png)


def test_transparency_of_an_array_of_16_bits_has_the_full_range() -> None:
    pixels = np.full((4, 4, 4), 500, np.uint16)
    pixels[..., 3] = 65_535
    assert np.unique(np.asarray(images.from_array(pixels, (400, 600)))).tolist() == [128]


PERCENTILES = Percentiles(percentiles=(10, 90))


def test_percentiles_are_the_values_of_each_image_that_become_black_and_white() -> None:
    spec = Input(size=10, window=PERCENTILES, mean=(0, 0, 0), std=(1, 1, 1))
    values = np.arange(100, dtype=np.uint16).reshape(10, 10) * 5 + 400
    fixed = spec.model_copy(update={"window": (450, 845)})  # nearest ranks 10 and 89 of 0 to 99
    as_png = images.pixels(images.picture(encoded(Image.fromarray(values)), spec), spec)
    assert torch.equal(as_png, images.pixels(images.picture(values, fixed), fixed))
    assert (as_png[0, 1, 0], as_png[0, 8, 9]) == (0, 255)
    brighter = values * 3 + 1_000
    assert torch.equal(images.pixels(images.picture(brighter, spec), spec), as_png)


def test_percentiles_are_equal_for_a_png_and_an_array_in_serving_and_training() -> None:
    spec = Input(size=8, window=PERCENTILES, mean=(0, 0, 0), std=(1, 1, 1))
    values = twelve_bits(599)
    content = encoded(Image.fromarray(values))
    trained = images.before_crop(images.picture(content, spec), spec)
    for source in (content, values):
        [served] = decode_images([("a", source)], spec, images.LIMITS, {}, lambda: None, with_views=False)
        assert torch.equal(served.pixels, trained)


def test_percentiles_of_one_value_make_a_black_image() -> None:
    for value in (0, 500, 65_535):
        flat = np.full((4, 4), value, np.uint16)
        assert np.unique(np.asarray(images.from_array(flat, PERCENTILES))).tolist() == [255 * (value == 65_535)]


def test_percentiles_leave_transparent_values_out() -> None:
    values = np.full((10, 10), 65_000, np.uint16)
    values[:5] = np.arange(50).reshape(5, 10) + 400
    picture = images.decode(encoded(Image.fromarray(values), transparency=65_000), window=PERCENTILES)
    assert np.asarray(picture)[:5].std() > 60
    assert (np.asarray(picture)[5:] == 255).all()


def test_window_of_an_8_bit_image_changes_nothing() -> None:
    content = encoded(Image.effect_noise((20, 20), 30))
    pictures = [images.decode(content, window=window) for window in ((0, 65_535), (400, 600), PERCENTILES)]
    assert len({np.asarray(picture).tobytes() for picture in pictures}) == 1


@pytest.mark.parametrize(
    ("window", "message"),
    [
        ("auto", "give two values, such as"),
        ([1, 2, 3], "give two values, such as"),
        ({"percentiles": [99, 1]}, "must be below the second"),
        ({"percentiles": [0, 101]}, "less than or equal to 100"),
        ({"percentile": [1, 99]}, "percentiles"),
    ],
)
def test_window_that_is_none_is_an_error_about_what_was_written(window: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Input(size=8, window=window, mean=(0, 0, 0), std=(1, 1, 1))


def test_window_is_saved_and_read() -> None:
    for window in ((0, 4_095), PERCENTILES):
        spec = Input(size=8, window=window, mean=(0, 0, 0), std=(1, 1, 1))
        assert Input.model_validate(spec.model_dump(mode="json")).window == window


@pytest.mark.parametrize("wrong", [(600, 400), (5, 5), (-1, 9), (0, 65_536)])
def test_range_that_is_none_is_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValidationError):
        Input(size=8, window=wrong, mean=(0, 0, 0), std=(1, 1, 1))
