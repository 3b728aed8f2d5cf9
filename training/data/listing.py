"""The image files below a folder, in a fixed order, and all other files with the reason why they are left out.

Links to files and folders are followed, and each folder is read once. A file without a suffix is an image if its
content is one.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from handlers.modalities.image import formats
from training.data.left_out import LeftOut
from training.data.order import natural

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
# Other suffixes of JPEG files.
_JPEG_SUFFIXES = (".jpe", ".jfif", ".jif", ".pjpeg")
_SUFFIX = {"JPEG": ".jpg", "PNG": ".png", "WebP": ".webp"}
# Images that Pillow may have no decoder for. Pillow lists the suffixes of all other formats.
_OTHER_IMAGES = (".heic", ".heif", ".avif", ".dcm", ".dicom", ".nii", ".svs", ".ndpi", ".jxl", ".svg", ".pdf", ".raw")
_CAMERA_IMAGES = (".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2")
# Files that Windows, macOS and Synology write beside the images. Those of Synology are thumbnails.
_SYSTEM_NAMES = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r", "__macosx", "@eadir", "$recycle.bin")


@dataclass(frozen=True, slots=True)
class Listing:
    """Images and other files of a folder.

    Attributes:
        images: paths relative to the folder, in `natural` order.
        left_out: everything else below it.
    """

    images: tuple[str, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(frozen=True, slots=True)
class Contents:
    """Entries of one folder, without subfolders; each list has names in `natural` order.

    Attributes:
        folders: folders, without links to folders.
        links: links to folders.
        images: files that are images by their suffix, or by their content if they have no suffix.
        left_out: everything else.
    """

    folders: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)


def list_images(root: Path, output: Path | None = None) -> Listing:
    """List the images below `root`, however deep.

    Args:
        output: a folder to pass over, where the caller writes.
    """
    images: list[str] = []
    left_out: list[LeftOut] = []
    # The folders that are not to be read, by device and inode, with the reason.
    closed = dict.fromkeys(_identities(root.resolve().parents), "a link to a folder that this one lies in")
    closed |= dict.fromkeys(_identities([output] if output else []), "")
    # Links wait until all folders are read, so that a link never takes the place of the folder itself.
    waiting, links = [Path()], list[Path]()
    while waiting or links:
        below = waiting.pop() if waiting else links.pop(0)
        folder = root / below
        identities = _identities([folder])
        if identities & closed.keys():
            left_out += [LeftOut(folder, reason) for key in identities if (reason := closed[key])]
            continue
        closed |= dict.fromkeys(identities, "the same folder as one that is read already")
        try:
            contents = contents_of(folder)
        except OSError as error:
            left_out.append(LeftOut(folder, f"the folder cannot be read: {error.strerror}"))
            continue
        images += [str(below / name) for name in contents.images]
        left_out += contents.left_out
        waiting += [below / name for name in reversed(contents.folders)]
        links += [below / name for name in contents.links]
    left_out.sort(key=lambda item: natural(str(item.path)))
    return Listing(tuple(sorted(images, key=natural)), tuple(left_out))


def contents_of(folder: Path) -> Contents:
    """List what lies directly in `folder`.

    Raises:
        OSError: it cannot be read.
    """
    contents = Contents()
    with os.scandir(folder) as entries:
        names = sorted((entry.name for entry in entries), key=natural)
    for name in names:
        path = folder / name
        status = _status(path)
        if reason := _passed_over(path, name):
            contents.left_out.append(LeftOut(path, reason))
        elif status is None:
            contents.left_out.append(LeftOut(path, _unreachable(path)))
        elif stat.S_ISDIR(status.st_mode):
            (contents.links if path.is_symlink() else contents.folders).append(name)
        elif reason := _no_image(path, status):
            contents.left_out.append(LeftOut(path, reason))
        else:
            contents.images.append(name)
    return contents


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def _identities(folders: Iterable[Path]) -> set[tuple[int, int]]:
    """Return the device and inode of each folder that exists, with or without links to it."""
    return {(status.st_dev, status.st_ino) for folder in folders if (status := _status(folder))}


def _passed_over(path: Path, name: str) -> str | None:
    """Return why a file or folder is left out because of its name, or None."""
    hidden, system = name.startswith("."), name.lower() in _SYSTEM_NAMES
    if not hidden and not system:
        return None
    kind = "hidden" if hidden else "system"
    if path.is_dir() and not path.is_symlink():
        count = sum(len(names) for _, _, names in os.walk(path))
        return f"a {kind} folder with {count:,} {'file' if count == 1 else 'files'}"
    return f"a {kind} file"


def _unreachable(path: Path) -> str:
    """Return why a path has no status."""
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return "a link that leads back to itself"
        if error.errno == errno.ENOENT and path.is_symlink():
            return "a link to something that does not exist"
        return f"cannot be read: {error.strerror}"
    return "changed while the folder was read"


def _no_image(path: Path, status: os.stat_result) -> str | None:
    """Return why a file cannot be read as an image; None if it may be one."""
    if not stat.S_ISREG(status.st_mode):
        return "no file, but a pipe, socket or device"
    if not status.st_size:
        return "the file is empty (0 bytes)"
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        return None
    try:
        with path.open("rb") as file:
            kind = formats.identify(file.read(formats.SNIFF_BYTES))
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    # `scan.0001` has a number, not a suffix.
    bare = not suffix.strip(".") or suffix[1:].isdecimal()
    if kind is not None and kind.is_supported:
        if bare or (kind == formats.JPEG and suffix in _JPEG_SUFFIXES):
            return None
        return f"a {kind.name} image with the suffix {suffix}: give it the suffix {_SUFFIX[kind.name]}"
    if kind is not None:
        how = "" if kind.advice.startswith("Send") else f". {kind.advice}"
        return f"its format is {kind.name}, which is not read{how}"
    if suffix in (*_OTHER_IMAGES, *_CAMERA_IMAGES) or suffix in Image.registered_extensions():
        return f"{suffix} files are not read: convert them to JPEG, PNG or WebP"
    return "no image by its content" if bare else f"no image by its suffix, {suffix}, nor by its content"
