"""The journal of changes to a server's versions, with time and user: append-only, fsynced, one JSON object per line."""

from __future__ import annotations

import getpass
import json
import socket
import uuid
from pathlib import Path
from typing import Any

from models import documents
from serving.rollout.state import now
from serving.runtime import atomic_files

FILE_NAME = "journal.jsonl"


class Journal:
    """The journal in one server's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    def begin(self, command: str, model: str, version: str | None, run: str | None = None) -> JournalRun:
        """Return the writer of the entries of one run of a command. `run` is its id; by default it gets a new one."""
        return JournalRun(self._path, command, model, version, run)

    def entries(self) -> list[dict[str, Any]]:
        """Return all entries, oldest first, without a line that a kill cut short."""
        try:
            return [entry for entry in documents.read_json_lines(self._path) if isinstance(entry, dict)]
        except FileNotFoundError:
            return []

    def last(self, model: str, version: str, step: str) -> dict[str, Any] | None:
        """Return the last entry of a step with a version, or None."""
        entry: dict[str, Any]
        for entry in reversed(self.entries()):
            if (entry.get("model"), entry.get("version"), entry.get("step")) == (model, version, step):
                return entry
        return None


class JournalRun:
    """Writer of the journal entries of one run of a command."""

    def __init__(self, path: Path, command: str, model: str, version: str | None, run: str | None = None) -> None:
        self._path = path
        self._common = {
            "run": run or uuid.uuid4().hex[:8],
            "actor": actor(),
            "command": command,
            "model": model,
            "version": version,
        }

    def write(self, step: str, **evidence: Any) -> None:
        """Record that a step is done, with its evidence. A run that succeeded ends in the step `done`."""
        entry = {"time": now(), **self._common, "step": step} | ({"evidence": evidence} if evidence else {})
        atomic_files.append_line(self._path, json.dumps(entry, ensure_ascii=False))


def actor() -> str:
    """Return the user and the machine of this process, as `user@host`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"
