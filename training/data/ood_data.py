"""Default out-of-distribution images of a data set."""

from __future__ import annotations

from training.data.builtin import digits, patches
from training.data.dataset import Dataset, Split


def ood_data(dataset: Dataset) -> tuple[str, Split]:
    """Return name and images: the test split of digits, or patches of photos for digits."""
    if dataset.name == digits.NAME:
        return patches.NAME, patches.load()
    return digits.NAME, digits.load().test
