"""Which images are unlike a data set: what an out-of-distribution score is tried on where nobody names others."""

from __future__ import annotations

from training.data.builtin import digits, patches
from training.data.dataset import Dataset, Split


def ood_data(dataset: Dataset) -> tuple[str, Split]:
    """A name, and images that come with the project: the test digits, or pieces of photos for digits themselves."""
    if dataset.name == digits.NAME:
        return patches.NAME, patches.load()
    return digits.NAME, digits.load().test
