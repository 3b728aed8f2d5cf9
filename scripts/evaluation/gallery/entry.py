"""The result for one image of a folder, and the file of results, one line of JSON for each, to continue a run."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from models import documents

FILE_NAME = "answers.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One image.

    Attributes:
        image: path relative to the folder, with slashes.
        sha256: digest of the file; a changed image is explained again.
        config: model, version and method; after a change, images are explained again.
        overlay: path of the overlay, relative to the page; None without an explanation.
        answer: the JSON response without its PNG members; None without an explanation.
        error: why there is no explanation.
    """

    image: str
    sha256: str
    config: str
    overlay: str | None = None
    answer: dict[str, Any] | None = None
    error: str | None = None

    @property
    def line(self) -> str:
        """Return the line of the file."""
        return json.dumps(asdict(self)) + "\n"


def read(out: Path) -> dict[str, Entry]:
    """Return the explained images in `out`, by path; images with an error are left out, to be tried again."""
    path = out / FILE_NAME
    entries: dict[str, Entry] = {}
    for document in documents.read_json_lines(path) if path.exists() else ():
        try:
            entry = Entry(**document)
        except TypeError:  # of another shape
            continue
        if entry.overlay is not None and (out / entry.overlay).exists():
            entries[entry.image] = entry
    return entries


def write(out: Path, entries: Iterable[Entry]) -> None:
    """Replace the file by one with only these entries."""
    new = out / f"{FILE_NAME}.new"
    new.write_text("".join(entry.line for entry in entries), encoding="utf-8")
    new.replace(out / FILE_NAME)


def without_pictures(answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return the response without its PNG members, which would be most of the file."""
    return {name: value for name, value in answer.items() if not name.endswith("_png")}
