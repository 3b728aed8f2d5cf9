"""`digits`: 1,797 handwritten digits of 8 x 8 pixels in 17 gray levels, bundled with scikit-learn.

The test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0).
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

from training.data.dataset import Dataset, Split
from training.data.split import SPLIT_SEED, complete

NAME = "digits"


def load(seed: int = SPLIT_SEED) -> Dataset:
    """Return the data set, split 60 : 20 : 20 with each class in proportion."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype(np.uint8)
    labels = bundle.target.astype(np.int64)
    splits = complete({"train": list(range(len(labels)))}, labels.__getitem__, seed)

    def split(indices: Sequence[int]) -> Split:
        return Split([_png(pixels[index]) for index in indices], labels[indices].tolist())

    return Dataset(
        name=NAME,
        source="UCI Optical Recognition of Handwritten Digits, as bundled with scikit-learn",
        license="CC BY 4.0",
        classes=tuple(str(name) for name in bundle.target_names),
        train=split(splits["train"]),
        calibration=split(splits["calibration"]),
        test=split(splits["test"]),
        sha256=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
    )


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
