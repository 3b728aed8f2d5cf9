"""The process that wants samples, as a file in the server's temporary folder names it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from models import documents
from models.documents import DocumentError


@dataclass(frozen=True, slots=True)
class Listener:
    """A process that wants samples.

    Attributes:
        share: share of the predictions that it wants.
        socket: path of its Unix socket.
    """

    share: float
    socket: str


def file_of(folder: Path, model: str) -> Path:
    """Return the path of the file that asks for samples of a model."""
    return folder / f"shadow-{model}.json"


def find(folder: Path, model: str, version: str) -> Listener | None:
    """Return the process that wants samples of a version; None if there is none.

    The file has `version`, `share` and `socket`.
    """
    path = file_of(folder, model)
    if not os.path.exists(path):  # noqa: PTH110 - once a second in each worker, and almost always so
        return None
    try:
        document = documents.read_json(path)
        listener = Listener(float(document["share"]), str(document["socket"]))
    except (OSError, DocumentError, KeyError, TypeError, ValueError):
        return None
    return listener if document.get("version") == version else None
