"""Labeled files -> a data set: decoded once to see that they can be, checked, split."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from models.printable import printable
from training.data import checks, labels, looks, sixteen_bits, split
from training.data.checks import Item
from training.data.copies import Copies
from training.data.dataset import DataError, Dataset, Split
from training.data.files import Files
from training.data.left_out import LeftOut, sentences
from training.data.listed import Listed
from training.data.order import natural


def build(
    source: Path, root: Path, entries: Sequence[Listed], seed: int, left_out: Sequence[LeftOut] = ()
) -> tuple[Dataset, list[str]]:
    """Build the data set that `source` lists, with files below `root`; also return warnings, one sentence each.

    An image in two splits stays in training only, so that test figures are not too good. An image in two classes is
    left out. Splits that are not listed are drawn from `train`, with near copies in one split. Class names become NFC,
    because macOS writes NFD.

    Args:
        left_out: files that are left out already, for the warnings.

    Raises:
        DataError: a label or class name cannot be used (`labels.usable`, `checks.named`), not one file can be read, or
            `checks.sufficient` says no.
    """
    entries, unlabeled, findings = labels.usable(source, root, entries)
    checks.named(source, [entry.label for entry in entries])
    entries = [replace(entry, label=unicodedata.normalize("NFC", entry.label)) for entry in entries]
    items, unreadable = checks.readable(root, entries)
    if not items:
        reason = sentences([*unreadable, *unlabeled][:1], 0)[1]
        raise DataError(f"{printable(source)}: not one of its {len(entries):,} images can be read; {reason}")
    findings += looks.findings(items)
    order = list(split.NAMES)
    items, doubtful, shared = checks.distinct(root, sorted(items, key=lambda item: order.index(item.split)))
    findings += shared
    listed_splits = {entry.split for entry in entries}
    splits = {name: [item for item in items if item.split == name] for name in order if name in listed_splits}
    # All listed classes count. A class whose files are all broken is then an error, and is not left out silently.
    classes = tuple(sorted({entry.label for entry in entries if entry.split == "train"}, key=natural))
    try:
        uneven = checks.sufficient(source, splits, classes)
    except DataError as error:  # what was found may be the cause
        if doubtful:
            findings.append(f"{len(doubtful):,} images are left out, because others have the same pixels")
        raise DataError(". ".join([str(error), *findings])) from None
    copies = Copies(items)
    splits = split.complete(splits, lambda item: item.label, seed, copies.group)
    findings += copies.findings(splits)
    digest = hashlib.sha256()
    for name in order:
        for item in splits[name]:
            digest.update(f"{name} {item.label} ".encode() + item.digest)
    dataset = Dataset(
        name=printable(source.resolve().stem if source.is_file() else source.resolve().name),
        source=printable(f"the {'table' if source.is_file() else 'folder'} {source.resolve().name}"),
        license="",
        classes=classes,
        train=_split(root, splits["train"], classes),
        calibration=_split(root, splits["calibration"], classes),
        test=_split(root, splits["test"], classes),
        sha256=digest.hexdigest(),
        sixteen_bits=sixteen_bits.summary([item.appearance.values for item in items if item.appearance.values]),
    )
    return dataset, [*findings, *sentences([*unlabeled, *unreadable, *doubtful, *left_out], len(items)), *uneven]


def _split(root: Path, items: Sequence[Item], classes: Sequence[str]) -> Split:
    numbers = {label: number for number, label in enumerate(classes)}
    files = Files(root, tuple(item.name for item in items))
    return Split(files, [numbers[item.label] for item in items], tuple(printable(item.name) for item in items))
