"""A labeled set of images with its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.sixteen_bits import SixteenBits

# An encoded JPEG, PNG or WebP, or uint8 pixels (H, W, 3). Clients can send both.
RawImage = bytes | np.ndarray


class DataError(ValueError):
    """The data cannot be trained on. The message says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images, each with the index of its class and its origin.

    Attributes:
        images: may be read from disk on access.
        labels: empty if the images have no class.
        names: path or another name of each image, for messages.
        masks: location of each image's object, bool (H, W); empty if unknown.
    """

    images: Sequence[RawImage]
    labels: Sequence[int]
    names: Sequence[str] = ()
    masks: Sequence[np.ndarray] = ()

    def name(self, index: int) -> str:
        """Return a name of the image for messages."""
        return self.names[index] if self.names else f"image {index}"

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three disjoint splits: for training, for calibration, and for test.

    Attributes:
        sha256: digest of all pixels and labels in order.
        sixteen_bits: value range of its 16-bit gray images; None if it has none.
    """

    name: str
    source: str
    license: str
    classes: tuple[str, ...]
    train: Split
    calibration: Split
    test: Split
    sha256: str
    sixteen_bits: SixteenBits | None = None
