"""Checks of labeled image files before training.

Each check returns the files that it leaves out, with the reason.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from handlers.errors import RequestError
from handlers.modalities.image import images
from models import class_names
from models.class_names import ClassNameError
from models.printable import printable
from training.data import appearance, pixel_digest
from training.data.appearance import NOTHING_SEEN, Appearance
from training.data.dataset import DataError
from training.data.labels import MIN_IMAGES
from training.data.left_out import LeftOut, listed
from training.data.listed import Listed

# Classes that a message names.
MAX_NAMED = 20

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Item:
    """A file that does hold one.

    Attributes:
        digest: SHA-256 of its bytes.
        pixels: digest of some rows of its pixels, `pixel_digest.sample`; of all where others have the same.
        appearance: what the checks of the whole data set need of it.
    """

    name: str
    label: str
    split: str
    digest: bytes
    pixels: bytes
    appearance: Appearance = NOTHING_SEEN


def readable(root: Path, entries: Sequence[Listed]) -> tuple[list[Item], list[LeftOut]]:
    """Decode all files in several threads; return the good ones in order, and the others with the reason."""

    def item(entry: Listed) -> Item | LeftOut:
        path = root / entry.name
        try:
            if path.is_dir():
                return LeftOut(path, "a folder, not a file")
            if not path.is_file():
                return LeftOut(path, "there is no such file")
            if (size := path.stat().st_size) > images.LIMITS.max_bytes:
                return LeftOut(path, f"the file has {size:,} bytes: at most {images.LIMITS.max_bytes:,} are read")
            content = path.read_bytes()
            pixels, shown = appearance.look(content)
        except RequestError as error:
            return LeftOut(path, printable(str(error)))
        except OSError as error:
            return LeftOut(path, error.strerror or printable(str(error)))
        digest = hashlib.sha256(content).digest()
        return Item(entry.name, entry.label, entry.split, digest, pixel_digest.sample(pixels), shown)

    items: list[Item] = []
    left_out: list[LeftOut] = []
    for result in _parallel(item, entries, "check images"):
        if isinstance(result, Item):
            items.append(result)
        else:
            left_out.append(result)
    return items, left_out


def distinct(root: Path, items: Sequence[Item]) -> tuple[list[Item], list[LeftOut], list[str]]:
    """Return each image once: the first of equal `items`, and none of them if their labels differ.

    Images are the same if their pixels are, whatever their files (pixel_digest.py).

    Returns:
        The images that stay, those that are left out, and sentences about images that were in several splits.
    """
    items = _told_apart(root, items)
    labels: dict[bytes, set[str]] = {}
    for item in items:
        labels.setdefault(item.pixels, set()).add(item.label)
    seen: dict[bytes, Item] = {}
    unique: list[Item] = []
    left_out: list[LeftOut] = []
    across: Counter[tuple[str, str]] = Counter()
    for item in items:
        if len(labels[item.pixels]) > 1:
            both = " and ".join(sorted(labels[item.pixels]))
            left_out.append(LeftOut(root / item.name, f"the same image is labeled {both}"))
        elif item.pixels in seen:
            first = seen[item.pixels]
            left_out.append(LeftOut(root / item.name, f"the same image as {printable(root / first.name)}"))
            across[item.split, first.split] += item.split != first.split
        else:
            seen[item.pixels] = item
            unique.append(item)
    totals = Counter(item.split for item in items)
    findings = [
        f"{count:,} of {totals[split]:,} {split} images have the same pixels as images of {first_split}: they are left "
        f"out of {split}"
        for (split, first_split), count in across.items()
        if count
    ]
    return unique, left_out, findings


def _told_apart(root: Path, items: Sequence[Item]) -> list[Item]:
    """Return the items. Those with the same digest of a sample of pixels get a digest of all pixels."""
    files: dict[bytes, set[bytes]] = {}
    for item in items:
        files.setdefault(item.pixels, set()).add(item.digest)
    doubtful = [item for item in items if len(files[item.pixels]) > 1]
    first = {item.digest: item for item in reversed(doubtful)}  # equal files need no second look

    def look(item: Item) -> bytes:
        try:
            return pixel_digest.full(appearance.look((root / item.name).read_bytes())[0])
        except (RequestError, OSError) as error:
            raise DataError(f"{printable(root / item.name)} changed while it was checked: {error}") from None

    wholes = dict(zip(first, _parallel(look, list(first.values()), "compare images"), strict=True))
    return [replace(item, pixels=wholes.get(item.digest, item.pixels)) for item in items]


def _parallel(function: Callable[[T], R], arguments: Sequence[T], title: str) -> list[R]:
    """Return the results in order. Several threads work, because decoders and digests release Python's lock."""
    with (
        ThreadPool(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None) as pool,
        tqdm(total=len(arguments), desc=title, unit="image", disable=None, leave=False, smoothing=0.05) as bar,
    ):
        results = []
        for result in pool.imap(function, arguments, chunksize=16):
            results.append(result)
            bar.update()
        return results


def named(source: Path, labels: Sequence[str]) -> None:
    """Check that every class has a name that can be written, and that no two look alike.

    Raises:
        DataError: naming them.
    """
    try:
        class_names.check(labels)
    except ClassNameError as error:
        raise DataError(f"{printable(source)}: {error}") from None


def sufficient(source: Path, splits: dict[str, list[Item]], classes: Sequence[str]) -> list[str]:
    """Check that every split has enough images of every class; return warnings about their numbers.

    Raises:
        DataError: a single class, too few images of one, or splits of different classes.
    """
    where = printable(source)
    if len(classes) == 1:
        raise DataError(f"{where} holds one class alone, {classes[0]!r}: a classifier needs at least two")
    counts = {split: Counter(item.label for item in items) for split, items in splits.items()}
    few = [name for name in classes if counts["train"][name] < MIN_IMAGES]
    if few:
        names = listed([f"{name} ({counts['train'][name]})" for name in few], MAX_NAMED)
        raise DataError(f"{where}: too few images of {names}: each class needs at least {MIN_IMAGES} to train on")
    for split, split_counts in counts.items():
        missing = [name for name in classes if not split_counts[name]]
        unknown = sorted(set(split_counts) - set(classes))
        if missing or unknown:
            what = (
                f"no image of {listed(missing, MAX_NAMED)}"
                if missing
                else f"classes that train has not: {listed(unknown, MAX_NAMED)}"
            )
            raise DataError(f"{where}: its split {split} has {what}: each split needs the same classes")
    largest, smallest = max(counts["train"].values()), min(counts["train"].values())
    if largest > 3 * smallest:
        spread = listed([f"{name} {counts['train'][name]}" for name in classes], MAX_NAMED)
        return [f"the classes are of unequal size ({spread}): accuracy alone will flatter the largest"]
    return []
