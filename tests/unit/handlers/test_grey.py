"""A grey picture stays grey until it is resized, and gives the pixels that its RGB would."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image

from handlers import images
from models.card import Input
from tests.unit.handlers.test_images import SPEC, encoded


@pytest.mark.parametrize("size", [(96, 96), (3, 5), (61, 200), (24, 24)])
@pytest.mark.parametrize("resize", ["stretch", "crop"])
@pytest.mark.parametrize("form", [Image.Image.copy, np.array], ids=["image", "array"])
def test_grey_is_resized_to_the_pixels_that_its_rgb_is_resized_to(
    size: tuple[int, int], resize: str, form: Callable[[Image.Image], images.Picture]
) -> None:
    spec = Input(size=24, resize=resize, mean=SPEC.mean, std=SPEC.std)
    drawn = Image.effect_noise(size, 90)
    grey, coloured = form(drawn), form(drawn.convert("RGB"))
    for road in (images.pixels, images.canvas):
        found = road(grey, spec)
        assert torch.equal(found, road(coloured, spec))
        assert (found[0] == found[2]).all()
    seen = images.view(grey, spec).image
    assert (seen.mode, seen.tobytes()) == ("RGB", images.view(coloured, spec).image.tobytes())


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_a_grey_file_gives_the_pixels_of_its_rgb(format_: str) -> None:
    grey = images.decode(encoded(Image.effect_noise((96, 70), 90), format_))
    coloured = np.stack([grey] * 3, axis=2) if isinstance(grey, np.ndarray) else grey.convert("RGB")
    assert torch.equal(images.pixels(grey, SPEC), images.pixels(coloured, SPEC))
