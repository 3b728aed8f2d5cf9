"""`digits`: 1,797 handwritten digits of 8 x 8 pixels in 17 grey levels, bundled with scikit-learn.

The test part of the UCI set "Optical Recognition of Handwritten Digits" (E. Alpaydin, C. Kaynak, 1998, CC BY 4.0).
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from training.data.dataset import Dataset, Split

NAME = "digits"
# Fixed: who trains again must measure on the same test images.
SPLIT_SEED = 20240229


def load() -> Dataset:
    """The data set, split 60 : 20 : 20 with each class in proportion."""
    bundle = load_digits()
    pixels = np.rint(bundle.images * (255 / 16)).astype(np.uint8)
    labels = bundle.target.astype(np.int64)
    rest, test = train_test_split(np.arange(len(labels)), test_size=0.2, stratify=labels, random_state=SPLIT_SEED)
    train, calibration = train_test_split(rest, test_size=0.25, stratify=labels[rest], random_state=SPLIT_SEED)

    def split(indices: np.ndarray) -> Split:
        return Split([_png(pixels[index]) for index in indices], labels[indices].tolist())

    return Dataset(
        name=NAME,
        source="UCI Optical Recognition of Handwritten Digits, as bundled with scikit-learn",
        licence="CC BY 4.0",
        classes=tuple(str(name) for name in bundle.target_names),
        train=split(train),
        calibration=split(calibration),
        test=split(test),
        sha256=hashlib.sha256(pixels.tobytes() + labels.tobytes()).hexdigest(),
    )


def _png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
