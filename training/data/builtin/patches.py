"""`patches`: square pieces of two photos, a temple and a flower: no digits, and nothing to download.

china.jpg and flower.jpg, bundled with scikit-learn (CC BY 2.0; sklearn/datasets/images/README.txt says by whom).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from training.data.arrays import Arrays
from training.data.dataset import Split

NAME = "patches"
SIDE = 64
# Of a piece in the photo, in pixels: grain, things, whole scenes.
SIDES = (64, 128, 256)


def load(count: int = 500, seed: int = 0) -> Split:
    """Return `count` pieces of photos from random positions, without a class, each uint8 (64, 64, 3)."""
    images, names = [], []
    for pixels, name in pieces(count, seed):
        piece = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        images.append(np.asarray(piece))
        names.append(name)
    return Split(Arrays(np.stack(images)), (), names)


def pieces(count: int, seed: int = 0) -> Iterator[tuple[np.ndarray, str]]:
    """Yield `count` pieces of photos from random positions, uint8 (side, side, 3) for SIDES in turn, with names."""
    bundle = load_sample_images()
    photos = {name.rpartition("/")[2]: pixels for name, pixels in zip(bundle.filenames, bundle.images, strict=True)}
    draw = np.random.default_rng(seed)
    for number in range(count):
        name = sorted(photos)[number % len(photos)]
        side = SIDES[number // len(photos) % len(SIDES)]
        height, width = photos[name].shape[:2]
        left, top = int(draw.integers(width - side + 1)), int(draw.integers(height - side + 1))
        piece = photos[name][top : top + side, left : left + side]
        yield piece, f"{name}, {side} pixels square at {left}, {top}"
