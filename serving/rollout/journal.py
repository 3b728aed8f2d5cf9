"""The journal: what was done to a server's versions, when, by whom. Append-only, fsynced, one JSON object a line."""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from pathlib import Path
from typing import Any

from models import documents
from serving.rollout import state
from serving.rollout.state import State, now
from serving.runtime import atomic_files

FILE_NAME = "journal.jsonl"


class Journal:
    """The journal of one server's folder, written to by one run of one command."""

    def __init__(self, folder: Path, command: str, model: str, version: str | None) -> None:
        self._path = folder / FILE_NAME
        self._common = {
            "run": uuid.uuid4().hex[:8],
            "actor": f"{_user()}@{socket.gethostname()}",
            "command": command,
            "model": model,
            "version": version,
        }

    def write(self, step: str, **evidence: Any) -> None:
        """Record that a step is done, with what it rests on. A run that worked ends in the step `done`."""
        entry = {"time": now(), **self._common, "step": step} | ({"evidence": evidence} if evidence else {})
        atomic_files.append_line(self._path, json.dumps(entry, ensure_ascii=False))


def record_start(folder: Path, started: State) -> None:
    """Write down what a server runs, once it does: its next start brings that back."""
    before = state.load(folder)
    if before is None or (before.models, before.order) != (started.models, started.order):
        started.generation = before.generation if before else 0
        started.save(folder)
    for name, model in started.models.items():
        Journal(folder, "start", name, model.default).write("done", versions=sorted(model.versions))


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        return "unknown"


def read(folder: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; a line that a kill cut short is passed over."""
    try:
        return [entry for entry in documents.read_json_lines(folder / FILE_NAME) if isinstance(entry, dict)]
    except FileNotFoundError:
        return []


def last_entry(folder: Path, model: str, version: str, step: str) -> dict[str, Any] | None:
    """Return the last entry about a step with a version, or None where there is none."""
    entry: dict[str, Any]
    for entry in reversed(read(folder)):
        if (entry.get("model"), entry.get("version"), entry.get("step")) == (model, version, step):
            return entry
    return None
