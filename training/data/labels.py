"""Checks of labels before an image is read: several classes in one label, numbers to predict, dates, missing values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from models.printable import printable
from training.data.dataset import DataError
from training.data.left_out import LeftOut, listed
from training.data.listed import Listed

# Images of a class; fewer cannot be split into training, calibration and test.
MIN_IMAGES = 5
# More labels than this, with too few images of one, are taken for values or names instead of classes.
MANY = 10
# Share of the files that may be listed under several labels before the table is taken for a multi-label one.
MAX_REPEATED = 0.1
# Labels that programs write for a missing value; and words that may be a class, such as `none` for no defect.
_MISSING = frozenset("nan nat <na> #n/a #na".split())
_DOUBTFUL = frozenset("none null na n/a - ?".split())
# In names of classes these separators are unusual. A comma is not: ImageNet has `tench, Tinca tinca`.
_SEPARATORS = re.compile(r"[;|]")
_LIST = re.compile(r"\[.*\]|\{.*\}|\(.*,.*\)", re.DOTALL)
_DATE = re.compile(r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ].*)?|\d{1,2}[-/.]\d{1,2}[-/.]\d{4}([T ].*)?")
_NO_MULTI_LABEL = (
    "several labels of one image (multi-label) are not supported: give each image one label, or rename the class if it "
    "is a single one"
)


def usable(source: Path, root: Path, entries: Sequence[Listed]) -> tuple[list[Listed], list[LeftOut], list[str]]:
    """Return the entries with a label, those without one, and sentences about doubtful labels.

    Raises:
        DataError: a label names several classes, or the labels are numbers, dates or names of single images.
    """
    where = printable(source)
    present = [entry for entry in entries if entry.label.casefold() not in _MISSING]
    left_out = [
        LeftOut(root / entry.name, f"its label {entry.label!r} is a missing value")
        for entry in entries
        if entry.label.casefold() in _MISSING
    ]
    counts = Counter(entry.label for entry in present)
    numeric = bool(counts) and all(_is_number(label) for label in counts)
    if not numeric:
        _check_multi_label(where, present, counts)
    _check_repeated(where, present)
    many_small = len(counts) > MANY and min(counts.values()) < MIN_IMAGES
    names = listed(list(counts), 3)
    if many_small and numeric:
        raise DataError(
            f"{where}: the labels are {len(counts):,} different numbers ({names}): predicting a number (regression) is "
            "not supported. Replace the numbers by a few classes, such as low and high"
        )
    if many_small and all(_DATE.fullmatch(label) for label in counts):
        raise DataError(
            f"{where}: the labels are {len(counts):,} different dates ({names}): predicting a date is not supported. "
            "Label each image with its class"
        )
    if many_small and len(counts) > len(present) / 2:
        raise DataError(
            f"{where}: nearly every image has a label of its own, {len(counts):,} labels for {len(present):,} images "
            f"({names}): a label must be a class that many images share, not a name or an id"
        )
    findings = []
    if numeric and len(counts) > MANY and not all(label.lstrip("+-").isdecimal() for label in counts):
        findings.append(
            f"the labels are {len(counts):,} different numbers ({names}): they are trained as classes without an "
            "order, because predicting a number (regression) is not supported"
        )
    for label in counts:
        if label.casefold() in _DOUBTFUL:
            findings.append(
                f"{counts[label]:,} images have the label {label!r}, which may stand for a missing value: it is "
                "trained as a class. If it is none, leave these images out"
            )
    return present, left_out, findings


def _check_multi_label(where: str, entries: Sequence[Listed], counts: Counter[str]) -> None:
    """Check that no label is a list or names several classes.

    Raises:
        DataError: one does.
    """
    for entry in entries:
        label = entry.label
        if _LIST.fullmatch(label):
            raise DataError(f"{where}: the label {label!r:.80} of {printable(entry.name)} is a list: {_NO_MULTI_LABEL}")
        parts = _parts(_SEPARATORS, label) or _parts(re.compile(","), label)
        # A comma separates classes only where other labels have each part too, alone or in such a list.
        if parts and (_SEPARATORS.search(label) or all(_is_shared(part, label, counts) for part in parts)):
            raise DataError(
                f"{where}: the label {label!r:.80} of {printable(entry.name)} names several classes, "
                f"{' and '.join(parts):.80}: {_NO_MULTI_LABEL}"
            )


def _parts(separator: re.Pattern[str], label: str) -> list[str]:
    """Return the parts of a label, or none if it has fewer than two or an empty one."""
    parts = [part.strip() for part in separator.split(label)]
    return parts if len(parts) > 1 and all(parts) else []


def _is_shared(part: str, label: str, counts: Counter[str]) -> bool:
    return any(part in (other, *_parts(re.compile(","), other)) for other in counts if other != label)


def _check_repeated(where: str, entries: Sequence[Listed]) -> None:
    """Check that a file does not have several labels, but for a few mistakes, which are left out later.

    Raises:
        DataError: many files do.
    """
    labels: dict[str, set[str]] = {}
    for entry in entries:
        labels.setdefault(entry.name, set()).add(entry.label)
    repeated = [name for name, own in labels.items() if len(own) > 1]
    if len(repeated) > max(1, MAX_REPEATED * len(labels)):
        first = repeated[0]
        raise DataError(
            f"{where}: {len(repeated):,} images are listed with several labels, such as {printable(first)} "
            f"({', '.join(sorted(labels[first]))}): {_NO_MULTI_LABEL}"
        )


def _is_number(label: str) -> bool:
    """Return whether a label is a number, with a decimal point or comma."""
    try:
        float(label.replace(",", "."))
    except ValueError:
        return False
    return True
