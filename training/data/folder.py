"""A folder of one's own images: a sub-folder for each class, or train/ and test/ (and val/) with those in them.

    photos/cat/1.jpg                photos/train/cat/1.jpg
    photos/dog/2.png                photos/test/dog/2.png

A split that has no folder is drawn from the others, each class in proportion and the same for the same seed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from training.data.checks import Listed
from training.data.dataset import DataError, Dataset
from training.data.labelled import build, natural
from training.data.split import SPLIT_SEED, called

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def load(root: Path, seed: int = SPLIT_SEED) -> tuple[Dataset, list[str]]:
    """Read a folder; returns the data set, and sentences on what was found wrong with it (`labelled.build`).

    Raises:
        DataError: no image, a single class, too few images of one, or splits of different classes.
    """
    listed: list[Listed] = []
    splits = _splits(root)
    ignored = _loose(root, splits)
    for split, folder in splits.items():
        for label in _folders(folder):
            names = _files(folder / label)
            found = [name for name in names if _is_read(name)]
            if not found:
                ignored.append(f"left out: {folder / label}: no image in it, so it is no class")
            where = (folder / label).relative_to(root)
            listed += [Listed(str(where / name), label, split) for name in found]
            ignored += _others(folder / label, names)
        if folder != root and not any(entry.split == split for entry in listed):
            raise DataError(f"DATA={root}: its split {folder.name} has no image: fill the folder, or remove it")
    if not listed:
        raise DataError(f"DATA={root} holds no image: put {', '.join(SUFFIXES)} files into a sub-folder for each class")
    dataset, findings = build(root, root, listed, seed)
    return dataset, findings + ignored


def _is_read(name: str) -> bool:
    return Path(name).suffix.lower() in SUFFIXES


def _splits(root: Path) -> dict[str, Path]:
    """The folder of each split that has one; the whole is `train` where none has."""
    folders: dict[str | None, list[str]] = {}
    for name in _folders(root):
        folders.setdefault(called(name), []).append(name)
    # A sub-folder called train may be a class too, beside car/ and ship/.
    if "train" not in folders or ("test" not in folders and None in folders):
        return {"train": root}
    named = {split: names for split, names in folders.items() if split}
    for names in named.values():
        if len(names) > 1:
            raise DataError(f"DATA={root}: {' and '.join(names)} are folders of the same split: keep one")
    return {split: root / names[0] for split, names in named.items()}


def _loose(root: Path, splits: dict[str, Path]) -> list[str]:
    """What is said of images that lie in no class's folder, and of folders beside those of the splits."""
    findings = []
    for folder in dict.fromkeys((root, *splits.values())):
        count = sum(_is_read(path.name) and path.is_file() for path in folder.iterdir())
        if count:
            findings.append(f"left out: {folder}: {count} images that are in no class's folder")
    if root not in splits.values():
        others = [root / name for name in _folders(root) if root / name not in splits.values()]
        findings += [f"left out: {path}: it is none of the splits" for path in others]
    return findings


def _folders(root: Path) -> list[str]:
    names = [path.name for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return sorted(names, key=natural)


def _files(root: Path) -> list[str]:
    """All files below `root`, as paths relative to it, in an order that does not depend on the file system."""
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        # Hidden ones are what other programs leave behind: .ipynb_checkpoints/, and a Mac's ._1.jpg.
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(folder).relative_to(root)
        found += [str(below / name) for name in names if not name.startswith(".")]
    return sorted(found, key=natural)


def _others(folder: Path, names: Sequence[str]) -> list[str]:
    """What is said of images in formats that Pillow knows and the server does not take."""
    suffixes = Counter(Path(name).suffix.lower() for name in names if not _is_read(name))
    return [
        f"left out: {folder}: {count} {suffix} files: {', '.join(SUFFIXES)} are read"
        for suffix, count in suffixes.items()
        if suffix in Image.registered_extensions()
    ]
