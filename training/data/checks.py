"""What is checked of labelled image files before anything is trained on them.

What is wrong is said, not swallowed: each check returns sentences on what it found, and what would spoil the figures is
kept out of them.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from tqdm import tqdm

from handlers import images
from handlers.errors import RequestError
from training.data.dataset import DataError

# Of one class: fewer cannot be split into training, calibration and test.
FEWEST = 5
# Classes and counts that a sentence names; more would say no more.
NAMED = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """A file that is said to hold an image: its path relative to the data set's root, its class, its split."""

    name: str
    label: str
    split: str = "train"


@dataclass(frozen=True, slots=True)
class Item:
    """A file that does hold one, and the SHA-256 of its bytes."""

    name: str
    label: str
    split: str
    digest: bytes


def readable(root: Path, listed: Sequence[Listed]) -> tuple[list[Item], list[str]]:
    """Decode every file, several at once; returns the good ones in order, and what is wrong with the others."""

    def look(entry: Listed) -> Item | str:
        path = root / entry.name
        try:
            if not path.is_file():
                return f"left out: {path}: there is no such file"
            content = path.read_bytes()
            images.decode(content)
        except RequestError as error:
            return f"left out: {path}: {error}"
        except OSError as error:
            return f"left out: {path}: {error.strerror or error}"
        return Item(entry.name, entry.label, entry.split, hashlib.sha256(content).digest())

    items: list[Item] = []
    findings: list[str] = []
    with (
        ThreadPool(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None) as pool,
        tqdm(total=len(listed), desc="check images", unit="image", disable=None, leave=False, smoothing=0.05) as bar,
    ):
        for found in pool.imap(look, listed, chunksize=16):
            bar.update()
            if isinstance(found, Item):
                items.append(found)
            else:
                findings.append(found)
                bar.set_postfix_str(f"{len(findings)} left out", refresh=False)
    return items, findings


def distinct(root: Path, items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Each image once: in the first of `items` that has it, and nowhere if it has two labels."""
    labels: dict[bytes, set[str]] = {}
    for item in items:
        labels.setdefault(item.digest, set()).add(item.label)
    seen: dict[bytes, str] = {}
    kept: list[Item] = []
    findings: list[str] = []
    for item in items:
        if len(labels[item.digest]) > 1:
            both = " and ".join(sorted(labels[item.digest]))
            findings.append(f"left out: {root / item.name}: the same image is labelled {both}")
        elif item.digest in seen:
            findings.append(f"left out: {root / item.name}: the same image as {root / seen[item.digest]}")
        else:
            seen[item.digest] = item.name
            kept.append(item)
    return kept, findings


def sufficient(source: Path, splits: dict[str, list[Item]], classes: Sequence[str]) -> list[str]:
    """Whether there are enough images of every class in every split; returns what is odd about their numbers.

    Raises:
        DataError: a single class, too few images of one, or splits of different classes.
    """
    if len(classes) == 1:
        raise DataError(f"DATA={source} holds one class alone, {classes[0]!r}: a classifier needs at least two")
    counts = {split: Counter(item.label for item in items) for split, items in splits.items()}
    few = [name for name in classes if counts["train"][name] < FEWEST]
    if few:
        named = _named([f"{name} ({counts['train'][name]})" for name in few])
        raise DataError(f"DATA={source}: too few images of {named}: each class needs at least {FEWEST} to train on")
    for split, found in counts.items():
        missing = [name for name in classes if not found[name]]
        unknown = sorted(set(found) - set(classes))
        if missing or unknown:
            what = f"no image of {_named(missing)}" if missing else f"classes that train has not: {_named(unknown)}"
            raise DataError(f"DATA={source}: its split {split} has {what}: each split needs the same classes")
    most, least = max(counts["train"].values()), min(counts["train"].values())
    if most > 3 * least:
        spread = _named([f"{name} {counts['train'][name]}" for name in classes])
        return [f"the classes are of unequal size ({spread}): accuracy alone will flatter the largest"]
    return []


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
