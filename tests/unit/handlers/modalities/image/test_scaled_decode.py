"""A JPEG much larger than the network's input is decoded at a half, quarter or eighth of its size."""

from __future__ import annotations

import io
import time
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from handlers.classifier import Classifier
from handlers.errors import CorruptImage
from handlers.modalities.image import images
from models.card import Input
from tests.unit.handlers.modalities.image.test_images import decoded
from training.data import Dataset

WIDTH, HEIGHT = 4000, 3000


def jpeg(image: Image.Image, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90, **how)
    return buffer.getvalue()


def photo(width: int = WIDTH, height: int = HEIGHT) -> Image.Image:
    """Like a photo: soft light, things with hard edges in it, all a little out of focus, and grain on top."""
    noise = np.random.default_rng(0)
    image = Image.fromarray(noise.integers(40, 216, (6, 8, 3), dtype=np.uint8)).resize((width, height), 3)
    draw = ImageDraw.Draw(image)
    for left, top, red, green, blue in noise.integers(0, 256, (40, 5)):
        x, y = int(left) * width // 256, int(top) * height // 256
        draw.ellipse((x, y, x + width // 9, y + height // 7), fill=(int(red), int(green), int(blue)))
    image = image.filter(ImageFilter.BoxBlur(2))
    grain = Image.fromarray(noise.integers(112, 144, (height, width), dtype=np.uint8)).convert("RGB")
    return Image.blend(image, grain, 0.15)


@pytest.fixture(scope="module")
def large() -> bytes:
    return jpeg(photo())


def spec(size: int) -> Input:
    return Input(size=size, mean=(0.5, 0.5, 0.5), std=(0.25, 0.25, 0.25))


@pytest.mark.parametrize(
    ("width", "height", "size", "seen"),
    [
        (4000, 3000, 24, (1000, 750)),  # an eighth would be less than VIEW_SIDE
        (4096, 3072, 24, (512, 384)),
        (4096, 100, 24, (2048, 50)),  # a quarter would be less than twice the size on the short side
        (4000, 3000, 300, (1000, 750)),
        (4000, 3000, 376, (2000, 1500)),
        (2400, 2400, 300, (600, 600)),
        (2400, 2400, 301, (1200, 1200)),
        (1023, 1000, 24, (1023, 1000)),
        (1024, 1000, 24, (512, 500)),
        (8, 8, 24, (8, 8)),
        (8000, 20, 24, (8000, 20)),
    ],
)
def test_scaled_decode_keeps_twice_the_network_size_and_the_view(
    width: int, height: int, size: int, seen: tuple[int, int]
) -> None:
    content = jpeg(Image.new("RGB", (width, height)))
    assert decoded(content, size=size).size == seen
    assert min(seen) >= min(2 * size, width, height)
    assert max(seen) >= min(images.VIEW_SIDE, max(width, height))
    assert decoded(content).size == (width, height)


@pytest.mark.parametrize("format_", ["PNG", "WEBP"])
def test_other_formats_cannot_do_that(format_: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (2048, 1024)).save(buffer, format_)
    assert decoded(buffer.getvalue(), size=24).size == (2048, 1024)


@pytest.mark.parametrize("size", [24, 224, 300])
def test_the_network_sees_nearly_the_same_pixels(large: bytes, size: int) -> None:
    whole, scaled = (images.pixels(images.decode(large, how), spec(size)).int() for how in (None, size))
    difference = (whole - scaled).abs()
    assert float(difference.float().mean()) < 0.5
    assert int(difference.max()) <= 8


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_scaled_decode_handles_gray_and_cmyk(mode: str) -> None:
    content = jpeg(photo(1600, 1200).convert(mode))
    whole, scaled = (images.pixels(images.decode(content, how), spec(24)).int() for how in (None, 24))
    assert decoded(content, size=24).size == (800, 600)
    assert int((whole - scaled).abs().max()) <= 4


def test_progressive_ones_too() -> None:
    content = jpeg(photo(1600, 1200), progressive=True)
    whole, scaled = (images.pixels(images.decode(content, how), spec(24)).int() for how in (None, 24))
    assert decoded(content, size=24).size == (800, 600)
    assert int((whole - scaled).abs().max()) <= 4


@pytest.mark.slow
def test_the_classes_and_nearly_the_probabilities_stay_the_same(classifier: Classifier, digits: Dataset) -> None:
    size = classifier.card.input.size
    for content in digits.test.images[:8]:
        digit = Image.open(io.BytesIO(content)).convert("RGB").resize((WIDTH // 2, HEIGHT // 2), 3)
        picture = jpeg(Image.blend(digit, photo(WIDTH // 2, HEIGHT // 2), 0.1))
        inputs = [images.pixels(images.decode(picture, how), classifier.card.input) for how in (None, size)]
        batch = images.stack(inputs)
        whole, scaled = classifier.engine.logits(batch).softmax(dim=1)
        assert int(whole.argmax()) == int(scaled.argmax())
        assert float((whole - scaled).abs().max()) < 0.02


def test_serving_and_evaluation_decode_alike(classifier: Classifier, large: bytes) -> None:
    size = classifier.card.input.size
    scaled = images.pixels(images.decode(large, size), classifier.card.input)
    batch = images.stack([scaled])
    assert classifier.logits([large]).tolist() == classifier.engine.logits(batch).tolist()


def test_a_photo_taken_sideways_is_still_put_upright() -> None:
    lying = Image.new("RGB", (4096, 2048), (0, 0, 255))
    lying.paste((255, 0, 0), (0, 0, 2048, 2048))
    exif = Image.Exif()
    exif[0x0112] = 6
    image = decoded(jpeg(lying, exif=exif), size=24)
    assert image.size == (256, 512)
    top, bottom = image.getpixel((128, 64)), image.getpixel((128, 448))
    assert (top[0] > 200, top[2] < 50) == (True, True)
    assert (bottom[0] < 50, bottom[2] > 200) == (True, True)


def test_truncated_jpeg_is_refused_by_the_scaled_decode(large: bytes) -> None:
    with pytest.raises(CorruptImage, match="cut short or corrupt"):
        images.decode(large[: len(large) // 2], 24)


def test_scaled_decode_takes_a_fraction_of_the_time(large: bytes) -> None:
    def quickest(size: int | None) -> float:
        seconds = []
        for _ in range(3):
            began = time.process_time()
            images.decode(large, size)
            seconds.append(time.process_time() - began)
        return min(seconds)

    assert quickest(24) < 0.8 * quickest(None)
