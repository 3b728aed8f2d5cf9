"""A folder of one's own images: a sub-folder for each class, or train/ and test/ (and val/) with those in them.

    photos/cat/1.jpg                photos/train/cat/1.jpg
    photos/dog/2.png                photos/test/dog/2.png

Without such splits one is drawn, each class in proportion and the same for the same seed. What is wrong with the images
is said, not swallowed; what would spoil the figures is kept out of them.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sklearn.model_selection import train_test_split
from tqdm import tqdm

from handlers import images
from handlers.errors import RequestError
from training.data.dataset import Dataset, Split

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
SPLIT_SEED = 20240229
# What the folders of a split may be called; the first is ours. `val` calibrates.
NAMES = {
    "train": ("train", "training"),
    "calibration": ("val", "validation", "valid", "calibration"),
    "test": ("test", "testing"),
}
# Of one class: fewer cannot be split into training, calibration and test.
FEWEST = 5
TEST_SHARE, CALIBRATION_SHARE = 0.2, 0.2


class DataError(ValueError):
    """The folder cannot be trained on; the message says what is wrong with it and what to do."""


@dataclass(frozen=True, slots=True)
class Item:
    """One readable image: where it lies, its bytes, its class."""

    path: Path
    content: bytes
    label: str


def load(root: Path, seed: int = SPLIT_SEED) -> tuple[Dataset, list[str]]:
    """Read a folder; returns the data set, and sentences on what was found wrong with it.

    An image that stands in two splits stays in training alone, lest the test split flatters; one that stands in two
    classes is left out.

    Raises:
        DataError: there is no such folder, no image, a single class, or too few images of one.
    """
    if not root.is_dir():
        raise DataError(
            f"DATA={root} is neither a folder nor a known data set: give a folder with a sub-folder of images for each "
            "class"
        )
    folders = {split: path for split, names in NAMES.items() for path in root.iterdir() if path.name.lower() in names}
    findings: list[str] = []
    if "train" in folders and "test" in folders:
        splits = {split: list(_read(path, findings)) for split, path in folders.items()}
    else:
        splits = {"train": list(_read(root, findings))}
    classes = _classes(root, splits["train"])
    splits = _distinct(splits, findings)
    _check(root, splits, classes, findings)
    if "test" not in splits:
        splits["train"], splits["test"] = _divide(splits["train"], TEST_SHARE, seed)
    if "calibration" not in splits:
        share = CALIBRATION_SHARE / (1 - TEST_SHARE)
        splits["train"], splits["calibration"] = _divide(splits["train"], share, seed)
    made = {split: _split(items, classes) for split, items in splits.items()}
    digest = hashlib.sha256()
    for split in NAMES:
        for item in splits[split]:
            digest.update(f"{split} {item.label} ".encode() + hashlib.sha256(item.content).digest())
    return (
        Dataset(
            name=root.resolve().name,
            source=f"the folder {root.resolve().name}",
            licence="",
            classes=classes,
            train=made["train"],
            calibration=made["calibration"],
            test=made["test"],
            sha256=digest.hexdigest(),
        ),
        findings,
    )


def _read(root: Path, findings: list[str]) -> Iterator[Item]:
    """The readable images below each class's folder, in an order that does not depend on the file system."""
    folders = sorted((path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")), key=_natural)
    files = [(folder.name, path) for folder in folders for path in sorted(folder.rglob("*"), key=_natural)]
    for label, path in tqdm(files, desc=f"read {root.name}", unit="image", disable=None, leave=False):
        if path.is_file() and path.suffix.lower() in SUFFIXES:
            content = path.read_bytes()
            try:
                images.decode(content)
            except RequestError as error:
                findings.append(f"left out: {path}: {error}")
            else:
                yield Item(path, content, label)


def _natural(path: Path) -> list[tuple[int, str]]:
    """2.png before 10.png, and a class called 2 before one called 10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", str(path))]


def _classes(root: Path, train: Sequence[Item]) -> tuple[str, ...]:
    classes = tuple(dict.fromkeys(item.label for item in train))
    if not classes:
        raise DataError(f"DATA={root} holds no image: put {', '.join(SUFFIXES)} files into a sub-folder for each class")
    if len(classes) == 1:
        raise DataError(
            f"DATA={root} holds one class alone, {classes[0]!r}: a classifier needs at least two sub-folders"
        )
    return classes


def _distinct(splits: dict[str, list[Item]], findings: list[str]) -> dict[str, list[Item]]:
    """Each image once: in the first split that has it, and nowhere if it has two labels."""
    labels: dict[bytes, set[str]] = {}
    for item in (item for items in splits.values() for item in items):
        labels.setdefault(hashlib.sha256(item.content).digest(), set()).add(item.label)
    seen: dict[bytes, Path] = {}
    kept: dict[str, list[Item]] = {}
    for split in (name for name in NAMES if name in splits):
        kept[split] = []
        for item in splits[split]:
            digest = hashlib.sha256(item.content).digest()
            if len(labels[digest]) > 1:
                findings.append(
                    f"left out: {item.path}: the same image is labelled {' and '.join(sorted(labels[digest]))}"
                )
            elif digest in seen:
                findings.append(f"left out: {item.path}: the same image as {seen[digest]}")
            else:
                seen[digest] = item.path
                kept[split].append(item)
    return kept


def _check(root: Path, splits: dict[str, list[Item]], classes: Sequence[str], findings: list[str]) -> None:
    counts = {split: Counter(item.label for item in items) for split, items in splits.items()}
    few = [name for name in classes if counts["train"][name] < FEWEST]
    if few:
        named = ", ".join(f"{name} ({counts['train'][name]})" for name in few[:10])
        raise DataError(f"DATA={root}: too few images of {named}: each class needs at least {FEWEST} to train on")
    for split, found in counts.items():
        missing = [name for name in classes if not found[name]]
        unknown = sorted(set(found) - set(classes))
        if missing or unknown:
            what = (
                f"no image of {', '.join(missing)}" if missing else f"classes that train/ has not: {', '.join(unknown)}"
            )
            raise DataError(f"DATA={root}: its split {split} has {what}: each split needs the same classes")
    most, least = max(counts["train"].values()), min(counts["train"].values())
    if most > 3 * least:
        spread = ", ".join(f"{name} {counts['train'][name]}" for name in classes[:20])
        findings.append(f"the classes are of unequal size ({spread}): accuracy alone will flatter the largest")


def _divide(items: Sequence[Item], share: float, seed: int) -> tuple[list[Item], list[Item]]:
    kept, taken = train_test_split(
        list(items), test_size=max(share, 0.0), stratify=[item.label for item in items], random_state=seed
    )
    return kept, taken


def _split(items: Sequence[Item], classes: Sequence[str]) -> Split:
    return Split([item.content for item in items], [classes.index(item.label) for item in items])
