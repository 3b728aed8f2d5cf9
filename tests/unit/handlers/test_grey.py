"""A grey picture stays grey until it is resized, and gives the pixels that its RGB would."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from handlers import images
from models.card import Input
from tests.unit.handlers.test_images import SPEC, encoded


@pytest.mark.parametrize("size", [(96, 96), (3, 5), (61, 200), (24, 24)])
@pytest.mark.parametrize("resize", ["stretch", "crop"])
def test_grey_is_resized_to_the_pixels_that_its_rgb_is_resized_to(size: tuple[int, int], resize: str) -> None:
    spec = Input(size=24, resize=resize, mean=SPEC.mean, std=SPEC.std)
    grey = Image.effect_noise(size, 90)
    for road in (images.pixels, images.canvas):
        found = road(grey, spec)
        assert torch.equal(found, road(grey.convert("RGB"), spec))
        assert (found[0] == found[2]).all()
    seen, coloured = images.view(grey, spec), images.view(grey.convert("RGB"), spec)
    assert (seen.image.mode, seen.image.tobytes()) == ("RGB", coloured.image.tobytes())


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_grey_file_gives_the_pixels_of_its_rgb(format_: str) -> None:
    image = images.decode(encoded(Image.effect_noise((96, 70), 90), format_))
    assert torch.equal(images.pixels(image, SPEC), images.pixels(image.convert("RGB"), SPEC))
