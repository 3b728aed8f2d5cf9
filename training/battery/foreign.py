"""Foreign images, which show none of the user's classes. They pass through the code that serves.

Each function draws `count` images. The same seed gives the same images, another seed gives others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch

from handlers.modalities.image import images
from handlers.modalities.image.images import ImageInput
from models.card import Input
from training.battery import screenshots
from training.data.builtin import digits, patches

Draw = Callable[[int, Input, int], Iterable[ImageInput]]

# Words in the name of a data set that shows digits: there, digits are not foreign.
DIGIT_DATA = ("digit", "mnist", "svhn")


@dataclass(frozen=True, slots=True)
class NamedDraw:
    """A kind of foreign images, its name for files and code, and its title for people."""

    name: str
    title: str
    draw: Draw


def network_input(sources: Iterable[ImageInput], spec: Input) -> torch.Tensor:
    """Return images as the network gets them from the server: uint8 (N, 3, spec.size, spec.size)."""
    return images.stack([images.pixels(images.picture(source, spec), spec) for source in sources])


def flat_colors(count: int, spec: Input, seed: int) -> Iterable[np.ndarray]:
    """Yield images of one color each: black, white, gray, then random colors."""
    draw = np.random.default_rng(seed)
    grays = [np.full(3, value) for value in (0, 255, 128)]
    side = spec.pre_crop_size
    for index in range(count):
        color = grays[index] if index < len(grays) else draw.integers(0, 256, 3)
        yield np.broadcast_to(color.astype(np.uint8), (side, side, 3)).copy()


def noise(count: int, spec: Input, seed: int) -> Iterable[np.ndarray]:
    """Yield images whose values are random and independent, from 0 to 255."""
    draw = np.random.default_rng(seed)
    side = spec.pre_crop_size
    for _ in range(count):
        yield draw.integers(0, 256, (side, side, 3), dtype=np.uint8)


def handwritten_digits(count: int, spec: Input, seed: int) -> Iterable[ImageInput]:
    """Return images of the training split of the digits, of which each seed has its own part."""
    every = digits.load().train.images
    return [every[(seed * count + index) % len(every)] for index in range(count)]


def photo_pieces(count: int, spec: Input, seed: int) -> Iterable[np.ndarray]:
    """Return pieces of photos at the resolution of the photo."""
    return patches.pieces(count, seed)


def drawn_screenshots(count: int, spec: Input, seed: int) -> Iterable[np.ndarray]:
    """Yield drawn screenshots of programs and pages."""
    return (screenshots.draw(seed * count + index) for index in range(count))


FOREIGN = (
    NamedDraw("flat_colors", "one flat color", flat_colors),
    NamedDraw("noise", "random pixels", noise),
    NamedDraw("digits", "handwritten digits", handwritten_digits),
    NamedDraw("photo_pieces", "photo pieces", photo_pieces),
    NamedDraw("screenshots", "screenshots", drawn_screenshots),
)


def foreign_to(dataset_name: str) -> tuple[NamedDraw, ...]:
    """Return the kinds of images that are foreign to a data set: digits are not foreign to digits."""
    shows_digits = any(word in dataset_name.lower() for word in DIGIT_DATA)
    return tuple(kind for kind in FOREIGN if kind.name != "digits" or not shows_digits)
