"""The desired state on disk: `state.json` in a server's folder, and the lock of the commands that change it.

If the state and the proxy's map on disk differ, a command was killed after its commit: the map decides.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from models import documents
from models.card import describe
from models.documents import DocumentError
from serving.errors import ConfigError, VersionError
from serving.proxy import routing
from serving.rollout.state import State
from serving.runtime import atomic_files

FILE_NAME = "state.json"
LOCK = "commands.lock"
LOCK_POLL_SECONDS = 0.05


class StateFile:
    """The state file of one server's folder."""

    def __init__(self, folder: Path, lock_seconds: float = 0.0) -> None:
        """Use the state file of a folder. A lock that another command holds is waited for `lock_seconds` long."""
        self._folder = folder
        self._lock_seconds = lock_seconds
        self._path = folder / FILE_NAME

    def load(self) -> State | None:
        """Return the state, with the defaults of the proxy's map; None if the server never ran.

        Raises:
            ConfigError: the file is damaged, or of a format that cannot be read.
        """
        try:
            state = State.model_validate(documents.read_json(self._path))
        except FileNotFoundError:
            return None
        except (ValidationError, DocumentError) as error:
            reason = f"{self._path}: {describe(error)}" if isinstance(error, ValidationError) else str(error)
            raise ConfigError(f"{reason}; correct it, or remove it to start from the newest versions") from None
        committed = routing.read(self._folder / routing.FILE_NAME)
        for name, model in state.models.items():
            if name in committed:
                model.follow(committed[name])
        return state

    def save(self, state: State) -> None:
        """Write a state as its next generation, atomically."""
        state.generation += 1
        atomic_files.write(self._path, state.model_dump_json(indent=2) + "\n")

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other commands out, and check that the folder can be written.

        Raises:
            VersionError: another command runs.
            OSError: the disk is full or read-only.
        """
        with open(self._folder / LOCK, "w", opener=atomic_files.private) as lock:
            deadline = time.monotonic() + self._lock_seconds
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise VersionError(
                            "another version command is running on this server: wait until it has ended"
                        ) from None
                time.sleep(LOCK_POLL_SECONDS)
            atomic_files.check_space(self._folder)
            yield
