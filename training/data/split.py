"""Stratified, seeded splits: training, calibration and test."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

from sklearn.model_selection import train_test_split

from training.data.dataset import DataError

T = TypeVar("T")

# Fixed, so that every training measures on the same test images.
SPLIT_SEED = 20240229
TEST_SHARE, CALIBRATION_SHARE = 0.2, 0.2
# Groups of a class; with fewer, the items are divided one by one.
MIN_GROUPS = 5
# Names of each split in folders and tables. `val` is the calibration split.
NAMES = {
    "train": ("train", "training"),
    "calibration": ("val", "validation", "valid", "calibration"),
    "test": ("test", "testing"),
}


def called(name: str) -> str | None:
    """Return the split that `name` means: train, calibration or test; None for other names."""
    return next((split for split, names in NAMES.items() if name.lower() in names), None)


def divide(items: Sequence[T], label: Callable[[T], object], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Divide items into the remaining ones and a drawn `share`, stratified by class.

    Raises:
        DataError: a class is too small for that.
    """
    try:
        remaining, drawn = train_test_split(
            list(items), test_size=share, stratify=[label(item) for item in items], random_state=seed
        )
    except ValueError as error:
        raise DataError(f"too few images to take {share:.0%} of each class: {error}") from None
    return remaining, drawn


def complete(
    splits: dict[str, list[T]],
    label: Callable[[T], object],
    seed: int,
    group: Callable[[T], Hashable] | None = None,
) -> dict[str, list[T]]:
    """Return all three splits; missing ones are drawn from `train`.

    Args:
        group: items of one group go into the same split, as far as each class has enough groups.
    """
    splits = dict(splits)
    if "test" not in splits:
        splits["train"], splits["test"] = _divide_groups(splits["train"], label, TEST_SHARE, seed, group)
    if "calibration" not in splits:
        share = CALIBRATION_SHARE / (1 - TEST_SHARE)
        splits["train"], splits["calibration"] = _divide_groups(splits["train"], label, share, seed, group)
    return splits


def _divide_groups(
    items: Sequence[T],
    label: Callable[[T], object],
    share: float,
    seed: int,
    group: Callable[[T], Hashable] | None,
) -> tuple[list[T], list[T]]:
    """Divide items like `divide`; those of one group follow the first of them."""
    members: dict[Hashable, list[T]] = {}
    for number, item in enumerate(items):
        members.setdefault(group(item) if group else number, []).append(item)
    representatives = [group_items[0] for group_items in members.values()]
    counts = Counter(label(item) for item in representatives)
    if len(members) == len(items) or any(counts[label(item)] < MIN_GROUPS for item in items):
        return divide(items, label, share, seed)
    groups = {id(group_items[0]): group_items for group_items in members.values()}
    remaining, drawn = divide(representatives, label, share, seed)
    return [item for first in remaining for item in groups[id(first)]], [
        item for first in drawn for item in groups[id(first)]
    ]
