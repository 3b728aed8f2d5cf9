"""Images of one size, side by side in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Arrays(Sequence[np.ndarray]):
    """One array seen as a sequence of images; a slice or an image is a view of it, not a copy.

    Attributes:
        pixels: uint8 (N, H, W, 3).
    """

    pixels: np.ndarray

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Arrays: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Arrays:
        selected = self.pixels[index]
        return Arrays(selected) if isinstance(index, slice) else selected

    def __len__(self) -> int:
        return len(self.pixels)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Arrays) and np.array_equal(self.pixels, other.pixels)

    __hash__ = None  # type: ignore[assignment]
