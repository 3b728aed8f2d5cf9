"""Labelled files -> a data set: decoded once to see that they can be, checked, split."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

from training.data import checks, split
from training.data.checks import Item, Listed
from training.data.dataset import DataError, Dataset, Split
from training.data.files import Files


def build(source: Path, root: Path, listed: Sequence[Listed], seed: int) -> tuple[Dataset, list[str]]:
    """The data set that `source` lists, its files below `root`; and sentences on what was found wrong with them.

    An image that stands in two splits stays in training alone, lest the test split flatters; one that stands in two
    classes is left out. Splits that are not listed are drawn from `train`.

    Raises:
        DataError: not one file can be read, or `checks.sufficient` says no.
    """
    items, unreadable = checks.readable(root, listed)
    if not items:
        raise DataError(f"DATA={source}: not one of its {len(listed):,} images can be read; {unreadable[0]}")
    order = list(split.NAMES)
    items, doubtful = checks.distinct(root, sorted(items, key=lambda item: order.index(item.split)))
    given = {entry.split for entry in listed}
    splits = {name: [item for item in items if item.split == name] for name in order if name in given}
    # Of what is listed, not of what can be read: a class whose files are all broken is an error, not one class less.
    classes = tuple(sorted({entry.label for entry in listed if entry.split == "train"}, key=natural))
    uneven = checks.sufficient(source, splits, classes)
    splits = split.complete(splits, lambda item: item.label, seed)
    digest = hashlib.sha256()
    for name in order:
        for item in splits[name]:
            digest.update(f"{name} {item.label} ".encode() + item.digest)
    dataset = Dataset(
        name=source.resolve().stem if source.is_file() else source.resolve().name,
        source=f"the {'table' if source.is_file() else 'folder'} {source.resolve().name}",
        licence="",
        classes=classes,
        train=_split(root, splits["train"], classes),
        calibration=_split(root, splits["calibration"], classes),
        test=_split(root, splits["test"], classes),
        sha256=digest.hexdigest(),
    )
    return dataset, unreadable + doubtful + uneven


def natural(name: str) -> list[tuple[int, str]]:
    """Sorts 2.png before 10.png, and a class called 2 before one called 10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _split(root: Path, items: Sequence[Item], classes: Sequence[str]) -> Split:
    numbers = {label: number for number, label in enumerate(classes)}
    names = tuple(item.name for item in items)
    return Split(Files(root, names), [numbers[item.label] for item in items], names)
