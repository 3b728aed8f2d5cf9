"""Run the controller of rollouts for the supervisor, while a rollout is active."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from serving.rollout import record as records
from serving.runtime import exit_status, processes
from serving.runtime.instance import Instance

ROOT = Path(__file__).resolve().parents[2]
# Between two starts, so that a controller that cannot run costs little.
PAUSE_SECONDS = 1.0


class RolloutController:
    """The controller process. It is started when a rollout begins, and again if it ends while one is active."""

    def __init__(self, instance: Instance, log: Callable[[str], None], on_line: Callable[[str], None]) -> None:
        """Start nothing yet.

        Args:
            log: called with messages about the process.
            on_line: called with each line of its output.
        """
        self._instance = instance
        self._log = log
        self._on_line = on_line
        self._child: subprocess.Popen[bytes] | None = None
        self._started = float("-inf")

    def keep_running(self, store: Path) -> list[int]:
        """Start the controller if a rollout is active and none runs; return its process id.

        Args:
            store: the model store.
        """
        if self._child is not None and (status := self._child.poll()) is not None:
            if status != 0:
                self._log(f"the controller of rollouts {exit_status.describe(status, 0)}")
            self._child = None
        if self._child is None:
            due = time.monotonic() - self._started >= PAUSE_SECONDS
            if due and records.wake_file(self._instance.folder).exists():
                self._spawn(store)
        return [self._child.pid] if self._child is not None else []

    def _spawn(self, store: Path) -> None:
        self._started = time.monotonic()
        words = command(self._instance, store)
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        self._child = processes.spawn(words, cwd=self._instance.folder, env=environment, on_line=self._on_line)

    def end(self) -> None:
        """End the process. Its rollouts go on when the server starts again."""
        if self._child is not None:
            processes.end(self._child, patience=0)


def command(instance: Instance, store: Path) -> list[str]:
    """Return the command line of the controller of a server with this model store."""
    flags = {"--port": instance.ports.public, "--root": instance.folder.parent, "--store": store.resolve()}
    words = [str(word) for flag in flags.items() for word in flag]
    return [sys.executable, "-m", "serving.rollout.controller_process", *words]
