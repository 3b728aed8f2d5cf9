"""Crashes: the child process that ended by itself, how it ended, its last error lines, and what to do."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from serving.runtime import exit_status, processes

MAX_LINES = 50
SHOWN_LINES = 3
MAX_WIDTH = 300

# Lines that say why a program ended: of Java, of HAProxy, and the last line of a Python traceback.
_ERROR = re.compile(
    r"\[ALERT\]|\bERROR\b|\bFATAL\b|OutOfMemoryError|^# |^error: |^Exception in thread|^Caused by: "
    r"|^[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b"
)


class LastLines:
    """The last lines of a child's output."""

    def __init__(self) -> None:
        self._lines = deque[str](maxlen=MAX_LINES)

    def feed(self, lines: str) -> None:
        """Store one line or several."""
        self._lines.extend(line for line in lines.split("\n") if line.strip() and not line.startswith("{"))

    def error_lines(self) -> list[str]:
        """Return the last lines with an error, cut to MAX_WIDTH, or the very last line if there is none."""
        lines = list(self._lines)
        errors = [line for line in lines if _ERROR.search(line)] or lines[-1:]
        return [line if len(line) <= MAX_WIDTH else line[:MAX_WIDTH] + "…" for line in errors[-SHOWN_LINES:]]


class Children:
    """The child processes of one run, by their names in messages, with the last lines of each."""

    def __init__(self, log: Callable[[str], None], restart: str, log_path: str) -> None:
        """Initialize without child processes.

        Args:
            log: called with each line of a child.
            restart: the command that starts the server again.
            log_path: where the log is.
        """
        self._log = log
        self._restart = restart
        self._log_path = log_path
        self._oom_kills = exit_status.oom_kills()
        self._lines: dict[str, LastLines] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def listener(self, name: str) -> Callable[[str], None]:
        """Return a function that logs the lines of a child and stores the last ones."""
        lines = self._lines[name] = LastLines()

        def listen(text: str) -> None:
            self._log(text)
            lines.feed(text)

        return listen

    def add(self, name: str, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Watch a child, and return it."""
        self._processes[name] = child
        return child

    def reap(self, exempt: Sequence[int] = ()) -> None:
        """Reap orphans of ended children, but not the process ids of `exempt`, which somebody else watches."""
        processes.reap([*exempt, *(child.pid for child in self._processes.values())])

    def crash(self) -> tuple[int, str] | None:
        """Return an exit status and a few lines on the first child that ended, or None while all run."""
        for name, child in self._processes.items():
            if (status := child.poll()) is not None:
                errors = "".join(f"\n  {line}" for line in self._lines[name].error_lines())
                ending = exit_status.describe(status, exit_status.oom_kills() - self._oom_kills)
                words = f"{name} {ending}; everything was stopped"
                words += f"\nits last lines:{errors}" if errors else ""
                words += f"\nlog: {self._log_path}\nstart again: {self._restart}"
                return 128 - status if status < 0 else status or 1, words
        return None
