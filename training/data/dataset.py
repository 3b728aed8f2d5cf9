"""A labelled set of images with its split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Split:
    """Encoded images (JPEG, PNG or WebP, as a client would send them) and the index of the class of each."""

    images: Sequence[bytes]
    labels: Sequence[int]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Dataset:
    """Three splits that share no image: to fit on, to choose and calibrate on, to measure on.

    Attributes:
        sha256: over all pixels and labels in order, so that a changed data set is seen.
    """

    name: str
    source: str
    licence: str
    classes: tuple[str, ...]
    train: Split
    calibration: Split
    test: Split
    sha256: str
