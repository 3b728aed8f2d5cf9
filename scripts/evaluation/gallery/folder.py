"""Explanation of all images of a folder in this process, as a server would explain them, in small batches."""

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
# Images in one batch.
BATCH_SIZE = 8
# Largest number of bytes of a file name; file systems allow 255.
MAX_NAME_BYTES = 240
# Errors of the options, which are the same for all images.
_OPTION_ERRORS = ("BadOption", "UnknownOption")


def images(folder: Path, out: Path) -> Listing:
    """List the images below `folder`, except those in `out`, and the files that are left out, with reasons.

    Raises:
        ValueError: there are no images.
    """
    if not folder.is_dir():
        raise ValueError(f"{printable(folder)} is not a folder: name a folder with images")
    listing = list_images(folder, out)
    if not listing.images:
        reasons = "".join(f"; {sentence}" for sentence in sentences(listing.left_out, 0)[:2])
        raise ValueError(f"{printable(folder)} has no images: {', '.join(SUFFIXES)} files are explained{reasons}")
    return listing


def explain(
    pipeline: Pipeline, folder: Path, names: Sequence[str], out: Path, options: dict[str, str], config: str
) -> Iterator[Entry]:
    """Explain the named images in order, and write their overlays below `out`.

    Raises:
        ValueError: the model does not support the options.
    """
    for first in range(0, len(names), BATCH_SIZE):
        entries, batch = [], []
        for name in names[first : first + BATCH_SIZE]:
            try:
                content = (folder / name).read_bytes()
            except OSError as error:
                entries.append(Entry(name, "", config, error=f"the file cannot be read: {error.strerror}"))
                continue
            entries.append(Entry(name, hashlib.sha256(content).hexdigest(), config))
            headers = {"x-torchlight-query": urlencode(options)}
            batch.append(RawRequest("explain", (Part(BODY, content),), headers, request_id=printable(name)))
        answers = iter(pipeline.answer(batch))
        for entry in entries:
            yield entry if entry.error else _answered(entry, json.loads(next(answers).body), out)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex; empty if it cannot be read."""
    try:
        return release.sha256(path)
    except OSError:
        return ""


def _answered(entry: Entry, answer: dict[str, object], out: Path) -> Entry:
    if "overlay_png" not in answer:
        message = str(answer["message"])
        if answer["type"] in _OPTION_ERRORS:
            raise ValueError(message)
        return Entry(entry.image, entry.sha256, entry.config, error=message)
    overlay = f"{PICTURES}/{_short(entry.image)}.png"
    path = out / overlay
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(base64.b64decode(str(answer["overlay_png"])))
    return Entry(entry.image, entry.sha256, entry.config, overlay, without_pictures(answer))


def _short(name: str) -> str:
    """Shorten the last part of a path to leave space for a suffix; a digest replaces the removed part."""
    *folders, last = name.split("/")
    if len(os.fsencode(last)) <= MAX_NAME_BYTES:
        return name
    digest = hashlib.sha256(os.fsencode(last)).hexdigest()[:16]
    return "/".join([*folders, os.fsdecode(os.fsencode(last)[: MAX_NAME_BYTES - 40]) + digest])
