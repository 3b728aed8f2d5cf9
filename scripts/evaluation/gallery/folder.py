"""Every image of a folder -> its entry: answered in this process as a server would, some images at once."""

from __future__ import annotations

import base64
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import urlencode

from handlers.pipeline import Pipeline
from handlers.protocols.multipart import Part
from handlers.request import BODY, RawRequest
from models import release
from models.printable import printable
from scripts.evaluation.gallery.entry import Entry, without_pictures
from training.data.left_out import sentences
from training.data.listing import SUFFIXES, Listing, list_images

PICTURES = "overlays"
# Images that are answered together.
AT_ONCE = 8
# Bytes of a file name that becomes the name of a picture; file systems allow 255.
LONGEST_NAME = 240
# What is wrong with what was asked, whatever the image.
_OURS = ("BadOption", "UnknownOption")


def images(folder: Path, out: Path) -> Listing:
    """The images below `folder`, without what lies in `out`; and what is left out there, with the reasons.

    Raises:
        ValueError: there is none.
    """
    if not folder.is_dir():
        raise ValueError(f"{printable(folder)} is no folder: name one with images in it (DIR=...)")
    listing = list_images(folder, out)
    if not listing.images:
        reasons = "".join(f"; {sentence}" for sentence in sentences(listing.left_out, 0)[:2])
        raise ValueError(f"{printable(folder)} holds no image: {', '.join(SUFFIXES)} files are explained{reasons}")
    return listing


def explain(
    pipeline: Pipeline, folder: Path, names: Sequence[str], out: Path, options: dict[str, str], asked: str
) -> Iterator[Entry]:
    """Explain the images that are named, in order, and write their pictures below `out`.

    Raises:
        ValueError: the options cannot be had of this model.
    """
    for first in range(0, len(names), AT_ONCE):
        entries, batch = [], []
        for name in names[first : first + AT_ONCE]:
            try:
                content = (folder / name).read_bytes()
            except OSError as error:
                entries.append(Entry(name, "", asked, error=f"the file cannot be read: {error.strerror}"))
                continue
            entries.append(Entry(name, hashlib.sha256(content).hexdigest(), asked))
            headers = {"x-torchlight-query": urlencode(options)}
            batch.append(RawRequest("explain", (Part(BODY, content),), headers, request_id=printable(name)))
        answers = iter(pipeline.answer(batch))
        for entry in entries:
            yield entry if entry.error else _answered(entry, json.loads(next(answers).body), out)


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex; nothing where it cannot be read."""
    try:
        return release.sha256(path)
    except OSError:
        return ""


def _answered(entry: Entry, answer: dict[str, object], out: Path) -> Entry:
    if "overlay_png" not in answer:
        message = str(answer["message"])
        if answer["type"] in _OURS:
            raise ValueError(message)
        return Entry(entry.image, entry.sha256, entry.asked, error=message)
    overlay = f"{PICTURES}/{_short(entry.image)}.png"
    path = out / overlay
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(str(answer["overlay_png"])))
    return Entry(entry.image, entry.sha256, entry.asked, overlay, without_pictures(answer))


def _short(name: str) -> str:
    """A path whose last part leaves room for another suffix; a digest takes the place of what is cut off."""
    *folders, last = name.split("/")
    if len(os.fsencode(last)) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:16]
    return "/".join([*folders, os.fsdecode(os.fsencode(last)[: LONGEST_NAME - 40]) + digest])
