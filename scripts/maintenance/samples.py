"""Write samples/: one digit of each class from the test split, enlarged so that it is easy to see."""

from __future__ import annotations

import argparse
import io
from pathlib import Path

from PIL import Image

from scripts.command import command
from training.data import DATASETS

SIDE = 96


@command
def main(argv: list[str] | None = None) -> None:
    """Parse the flags and write."""
    parser = argparse.ArgumentParser(prog="python -m scripts.maintenance.samples", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to (default: samples)")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    dataset = DATASETS["digits"]()
    for index, label in enumerate(dataset.classes):
        content = dataset.test.images[dataset.test.labels.index(index)]
        assert isinstance(content, bytes), "digits are PNG files"
        image = Image.open(io.BytesIO(content)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        image.save(arguments.out / f"{label}.png", optimize=True)
    print(f"{arguments.out}/: {len(dataset.classes)} images of {SIDE} x {SIDE} pixels")


if __name__ == "__main__":
    main()
