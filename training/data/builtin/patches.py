"""Square pieces of two photos, a temple and a flower; nothing to download.

china.jpg and flower.jpg, bundled with scikit-learn (CC BY 2.0; sklearn/datasets/images/README.txt says by whom).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from sklearn.datasets import load_sample_images

# Of a piece in the photo, in pixels: grain, things, whole scenes.
SIDES = (64, 128, 256)


def pieces(count: int, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield `count` pieces from random positions of the photos in turn, uint8 (side, side, 3) for SIDES in turn."""
    bundle = load_sample_images()
    photos = [
        pixels for _, pixels in sorted(zip(bundle.filenames, bundle.images, strict=True), key=lambda pair: pair[0])
    ]
    draw = np.random.default_rng(seed)
    for number in range(count):
        photo = photos[number % len(photos)]
        side = SIDES[number // len(photos) % len(SIDES)]
        height, width = photo.shape[:2]
        left, top = int(draw.integers(width - side + 1)), int(draw.integers(height - side + 1))
        yield photo[top : top + side, left : left + side]
