"""A folder of one's own images: a sub-folder for each class, or train/ and test/ (and val/) with those in them.

    photos/cat/1.jpg                photos/train/cat/1.jpg
    photos/dog/2.png                photos/test/dog/2.png

A split that has no folder is drawn from the others, each class in proportion and the same for the same seed.
"""

from __future__ import annotations

from pathlib import Path

from models.printable import printable
from training.data.dataset import DataError, Dataset
from training.data.labeled import build
from training.data.left_out import LeftOut
from training.data.listed import Listed
from training.data.listing import SUFFIXES, Contents, contents_of, list_images
from training.data.order import natural
from training.data.split import SPLIT_SEED, called


def load(root: Path, seed: int = SPLIT_SEED) -> tuple[Dataset, list[str]]:
    """Read a folder; return the data set, and sentences about its problems (`labeled.build`).

    Raises:
        DataError: no image, a single class, too few images of one, class names that look alike, or splits of different
            classes.
        OSError: the folder, or that of a split, cannot be read.
    """
    where = printable(root)
    listed: list[Listed] = []
    left_out: list[LeftOut] = []
    contents = contents_of(root)
    splits = _splits(root, contents)
    if root not in splits.values():
        left_out += _beside(root, contents)
        other_folders = [root / name for name in _folders(contents) if root / name not in splits.values()]
        left_out += [LeftOut(path, "it is none of the splits") for path in other_folders]
    for split, folder in splits.items():
        classes = contents if folder == root else contents_of(folder)
        left_out += _beside(folder, classes)
        for label in _folders(classes):
            below, reasons = _images(root, folder / label)
            listed += [Listed(name, label, split) for name in below]
            left_out += reasons
        if folder != root and not any(entry.split == split for entry in listed):
            raise DataError(f"{where}: its split {printable(folder.name)} has no image: fill the folder, or remove it")
    if not listed:
        raise DataError(f"{where} holds no image: put {', '.join(SUFFIXES)} files into a sub-folder for each class")
    return build(root, root, listed, seed, left_out)


def _splits(root: Path, contents: Contents) -> dict[str, Path]:
    """Return the folder of each split; without such folders, all of `root` is `train`."""
    folders: dict[str | None, list[str]] = {}
    for name in _folders(contents):
        folders.setdefault(called(name), []).append(name)
    # A sub-folder called train may be a class too, beside car/ and ship/.
    if "train" not in folders or ("test" not in folders and None in folders):
        return {"train": root}
    named = {split: names for split, names in folders.items() if split}
    for names in named.values():
        if len(names) > 1:
            raise DataError(f"{printable(root)}: {' and '.join(names)} are folders of the same split: keep one")
    return {split: root / names[0] for split, names in named.items()}


def _folders(contents: Contents) -> list[str]:
    """Return folders and links to folders; each is a split or a class."""
    return sorted((*contents.folders, *contents.links), key=natural)


def _beside(folder: Path, contents: Contents) -> list[LeftOut]:
    """Return the files beside the folders of the classes or splits."""
    loose = [LeftOut(folder / name, "an image that is in no class's folder") for name in contents.images]
    return contents.left_out + loose


def _images(root: Path, folder: Path) -> tuple[list[str], list[LeftOut]]:
    """Return the images of a class as paths below `root`, and the files left out of its folder."""
    listing = list_images(folder)
    names = [str((folder / name).relative_to(root)) for name in listing.images]
    left_out = list(listing.left_out)
    if not names and not any(item.path == folder for item in left_out):
        left_out.append(LeftOut(folder, "no image in it, so it is no class"))
    return names, left_out
