"""A labeled set of images with its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.data.sixteen_bits import SixteenBits

# An encoded JPEG, PNG or WebP, as a client would send it; or uint8 pixels (H, W, 3), as a client may send them too.
RawImage = bytes | np.ndarray


class DataError(ValueError):
    """The data cannot be trained on; the message says what is wrong with them and what to do."""


@dataclass(frozen=True, slots=True)
class Split:
    """Images, and of each the index of its class and where it comes from.

    Attributes:
        images: may be read from disk only when one is asked for.
        labels: empty where the images have no class.
        names: a path, or what else tells people which image it is.
        masks: bool (H, W), where the object of each image is; empty where nobody knows.
    """

    images: Sequence[RawImage]
    labels: Sequence[int]
    names: Sequence[str] = ()
    masks: Sequence[np.ndarray] = ()

    def name(self, index: int) -> str:
        """Which image it is, in words."""
        return self.names[index] if self.names else f"image {index}"

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three splits that share no image: to fit on, to choose and calibrate on, to measure on.

    Attributes:
        sha256: over all pixels and labels in order, so that a changed data set is seen.
        sixteen_bits: what its gray images of 16 bits use; None where it has none.
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
