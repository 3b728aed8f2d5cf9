"""How images are divided into training, calibration and test: seeded, and each class in proportion."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from sklearn.model_selection import train_test_split

from training.data.dataset import DataError

T = TypeVar("T")

# Fixed: who trains again must measure on the same test images.
SPLIT_SEED = 20240229
TEST_SHARE, CALIBRATION_SHARE = 0.2, 0.2
# What people call a split, in folders and tables; the first is ours. `val` calibrates.
NAMES = {
    "train": ("train", "training"),
    "calibration": ("val", "validation", "valid", "calibration"),
    "test": ("test", "testing"),
}


def called(name: str) -> str | None:
    """Which split people mean by `name`: train, calibration, test or none."""
    return next((split for split, names in NAMES.items() if name.lower() in names), None)


def divide(items: Sequence[T], label: Callable[[T], object], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Those kept and the `share` that is taken, each class in proportion.

    Raises:
        DataError: a class is too small for that.
    """
    try:
        kept, taken = train_test_split(
            list(items), test_size=share, stratify=[label(item) for item in items], random_state=seed
        )
    except ValueError as error:
        raise DataError(f"too few images to take {share:.0%} of each class: {error}") from None
    return kept, taken


def complete(splits: dict[str, list[T]], label: Callable[[T], object], seed: int) -> dict[str, list[T]]:
    """All three splits: those that are not there yet are drawn from `train`, which must be."""
    splits = dict(splits)
    if "test" not in splits:
        splits["train"], splits["test"] = divide(splits["train"], label, TEST_SHARE, seed)
    if "calibration" not in splits:
        share = CALIBRATION_SHARE / (1 - TEST_SHARE)
        splits["train"], splits["calibration"] = divide(splits["train"], label, share, seed)
    return splits
