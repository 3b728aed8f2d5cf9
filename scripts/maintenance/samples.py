"""Write samples/: one digit of each class from the test split, enlarged so that it is easy to see.

For example:

    torchlight maintenance samples --out pictures
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from scripts import cli
from training.data import DATASETS

SIDE = 96


def main(*, out: Path = Path("samples")) -> None:
    """Write an image of each class.

    Args:
        out: folder to write to
    """
    out.mkdir(parents=True, exist_ok=True)
    dataset = DATASETS["digits"]()
    for index, label in enumerate(dataset.classes):
        content = dataset.test.images[dataset.test.labels.index(index)]
        assert isinstance(content, bytes), "digits are PNG files"
        image = Image.open(io.BytesIO(content)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(out / f"{label}.png", optimize=True)
    print(f"{out}/: {len(dataset.classes)} images of {SIDE} x {SIDE} pixels")


if __name__ == "__main__":
    cli.run("maintenance", "samples")
