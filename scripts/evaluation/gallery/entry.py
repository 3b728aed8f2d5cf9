"""What became of one image of a folder, and the file that keeps it: a line of JSON for each, so that a run goes on."""

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
        image: its path, relative to the folder, with slashes.
        sha256: of the file, so that another image of the same name is explained again.
        asked: by which model and how, for the same reason.
        overlay: the picture's path, relative to the page; None where there is none.
        answer: the JSON answer, without its pictures; None where there is none.
        error: why there is none, in a sentence.
    """

    image: str
    sha256: str
    asked: str
    overlay: str | None = None
    answer: dict[str, Any] | None = None
    error: str | None = None

    @property
    def line(self) -> str:
        """The line of the file."""
        return json.dumps(asdict(self)) + "\n"


def read(out: Path) -> dict[str, Entry]:
    """The explained images that `out` has, by their path; those without an answer are left out, to be tried again."""
    path = out / FILE_NAME
    found: dict[str, Entry] = {}
    for document in documents.read_json_lines(path) if path.exists() else ():
        try:
            entry = Entry(**document)
        except TypeError:  # of another shape
            continue
        if entry.overlay is not None and (out / entry.overlay).exists():
            found[entry.image] = entry
    return found


def write(out: Path, entries: Iterable[Entry]) -> None:
    """Write the file anew, with these and no others."""
    new = out / f"{FILE_NAME}.new"
    new.write_text("".join(entry.line for entry in entries), encoding="utf-8")
    new.replace(out / FILE_NAME)


def without_pictures(answer: Mapping[str, Any]) -> dict[str, Any]:
    """The answer without its pictures in base64, which would make up most of the file."""
    return {name: value for name, value in answer.items() if not name.endswith("_png")}
