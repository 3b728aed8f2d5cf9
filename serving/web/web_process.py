"""Run the web process for the supervisor: start it, and start it again if it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from serving.runtime import exit_status, processes
from serving.runtime.instance import Instance

ROOT = Path(__file__).resolve().parents[2]
# Between two starts, so that a process that cannot run costs little.
PAUSE_SECONDS = 10.0


class WebProcess:
    """The web process (serving/web/). Predictions do not depend on it, so its end does not end the server."""

    def __init__(self, instance: Instance, log: Callable[[str], None], on_line: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            log: called with messages about the process.
            on_line: called with each line of its output.
        """
        self._instance = instance
        self._log = log
        self._on_line = on_line
        self._command: list[str] = []
        self._child: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def start(self, socket: Path | None) -> None:
        """Start the process; `socket` is the proxy's runtime API, or None for a server without a proxy."""
        self._command = command(self._instance, socket, time.time())
        self._spawn()

    def keep_running(self) -> list[int]:
        """Start the process again if it ended and its last start was a while ago; returns its process id."""
        if self._child is None:
            return []
        if self._child.poll() is not None and time.monotonic() - self._started >= PAUSE_SECONDS:
            self._log(f"the web process {exit_status.describe(self._child.returncode, 0)}; starting it again")
            self._spawn()
        return [self._child.pid]

    def _spawn(self) -> None:
        self._started = time.monotonic()
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._child = processes.spawn(self._command, cwd=self._instance.folder, env=environment, on_line=self._on_line)

    def end(self) -> None:
        """End the process."""
        if self._child is not None:
            processes.end(self._child, patience=0)


def command(instance: Instance, socket: Path | None, start: float) -> list[str]:
    """Return the command line of the web process."""
    flags: dict[str, object] = {"--port": instance.ports.public, "--root": instance.folder.parent, "--start": start}
    if socket is not None:
        flags["--socket"] = socket
    return [sys.executable, "-m", "serving.web.server", *(str(word) for flag in flags.items() for word in flag)]
