"""Write samples/: one digit of each class from the test split, enlarged so that it is easy to see.

It is the first of its class that is not among the least typical ones: those are hard to read for people too.

For example:

    torchlight maintenance samples --out pictures
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from scripts import cli
from training.data import DATASETS
from training.data.dataset import Dataset, Split

SIDE = 96
# Share of a class's images that are typical: nearest to the mean of its training images.
TYPICAL = 0.95


def main(*, out: Path = Path("samples")) -> None:
    """Write an image of each class.

    Args:
        out: folder to write to
    """
    out.mkdir(parents=True, exist_ok=True)
    dataset = DATASETS["digits"]()
    for index, label in enumerate(dataset.classes):
        content = _first_typical(dataset, index)
        image = Image.open(io.BytesIO(content)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(out / f"{label}.png", optimize=True)
    print(f"{out}/: {len(dataset.classes)} images of {SIDE} x {SIDE} pixels")


def _first_typical(dataset: Dataset, label: int) -> bytes:
    """Return the first test image of a class whose distance from the class's mean is not among the largest."""
    mean = np.mean([pixels for _, pixels in _of_class(dataset.train, label)], axis=0)
    images = _of_class(dataset.test, label)
    distances = [float(np.square(pixels - mean).sum()) for _, pixels in images]
    limit = np.quantile(distances, TYPICAL)
    return next(content for (content, _), distance in zip(images, distances, strict=True) if distance <= limit)


def _of_class(split: Split, label: int) -> list[tuple[bytes, np.ndarray]]:
    """Return the images of a class, as files and as pixels."""
    files = [image for image, own in zip(split.images, split.labels, strict=True) if own == label]
    return [(file, np.asarray(Image.open(io.BytesIO(file)), float)) for file in files if isinstance(file, bytes)]


if __name__ == "__main__":
    cli.run("maintenance", "samples")
