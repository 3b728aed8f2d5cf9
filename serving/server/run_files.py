"""The files with the state of a run: its status, and the errors of its workers.

A full disk must not end the server: what could not be written is written later.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from serving.runtime import atomic_files, processes
from serving.runtime.instance import Instance, State, Status
from serving.server.launch_options import Launch
from serving.torchserve import process
from serving.torchserve.process import LogReader


class RunFiles:
    """Writes both files of a run when they change."""

    def __init__(self, instance: Instance, launch: Launch, reader: LogReader) -> None:
        self._instance = instance
        self._launch = launch
        self._reader = reader
        self._errors_written = 0
        self._status: Status | None = None

    def report(self, state: State, message: str, temp: Path) -> None:
        """Write the status, now or when the disk has space again."""
        launch, role_counts = self._launch, self._launch.role_counts
        self._status = Status(
            state,
            message,
            os.getpid(),
            str(temp),
            tokens=launch.asks_for_token,
            host=launch.host,
            explain_workers=role_counts.explain,
            unbatched_workers=role_counts.unbatched,
            proxy=launch.proxy,
            start_ticks=processes.start_ticks(os.getpid()),
        )
        self.write()

    def write(self) -> None:
        """Write all changes since the last call, if the disk has space."""
        with suppress(OSError):
            if self._status is not None:
                self._instance.report(self._status)
                self._status = None
            if (count := self._reader.count) != self._errors_written:
                atomic_files.write(self._instance.folder / process.WORKER_ERRORS, json.dumps(self._reader.errors))
                self._errors_written = count
