"""Requests of a user to the controller: pause, resume, promote or abort, as a file in the rollout's folder."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from models import documents
from models.documents import DocumentError
from serving.runtime import atomic_files

FILE_NAME = "request.json"


class Action(StrEnum):
    """The requests that a user may make while a rollout runs."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


class Request(BaseModel):
    """A request, with the user who made it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    action: Action
    actor: str


def write(folder: Path, request: Request) -> None:
    """Leave a request for the controller. It replaces one that was not taken yet."""
    atomic_files.write(folder / FILE_NAME, json.dumps(request.model_dump(mode="json")))


def read(folder: Path) -> Request | None:
    """Return the request that waits, or None. A file that is no request counts as none."""
    try:
        return Request.model_validate(documents.read_json(folder / FILE_NAME))
    except (FileNotFoundError, ValidationError, DocumentError):
        return None


def remove(folder: Path) -> None:
    """Remove the request, after it took effect."""
    (folder / FILE_NAME).unlink(missing_ok=True)
