"""Crashes: which child process ended by itself, how, its last telling lines, and what to do."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Callable, Sequence

from serving.runtime import exit_status, processes

MAX_LINES = 50
SHOWN_LINES = 3
MAX_WIDTH = 300

# Lines that say why a program ended: Java's, HAProxy's, and the last one of a Python traceback.
_TELLING = re.compile(
    r"\[ALERT\]|\bERROR\b|\bFATAL\b|OutOfMemoryError|^# |^error: |^Exception in thread|^Caused by: "
    r"|^[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b"
)


class LastLines:
    """The last lines of a child's output."""

    def __init__(self) -> None:
        self._lines = deque[str](maxlen=MAX_LINES)

    def feed(self, lines: str) -> None:
        """Take in one line or several."""
        self._lines.extend(line for line in lines.split("\n") if line.strip() and not line.startswith("{"))

    def telling(self) -> list[str]:
        """The last lines that name an error, cut to MAX_WIDTH; without any, the very last line."""
        lines = list(self._lines)
        telling = [line for line in lines if _TELLING.search(line)] or lines[-1:]
        return [line if len(line) <= MAX_WIDTH else line[:MAX_WIDTH] + "…" for line in telling[-SHOWN_LINES:]]


class Children:
    """The child processes of one run, by the names that messages give them, with the last lines of each."""

    def __init__(self, log: Callable[[str], None], restart: str, log_path: str) -> None:
        """Nothing runs yet; `restart` is the command that starts all of it again, `log_path` where the log is."""
        self._log = log
        self._restart = restart
        self._log_path = log_path
        self._oom_kills = exit_status.oom_kills()
        self._lines: dict[str, LastLines] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def listener(self, name: str) -> Callable[[str], None]:
        """Return what takes the lines of a child: they are logged, and the last ones kept."""
        lines = self._lines[name] = LastLines()

        def listen(text: str) -> None:
            self._log(text)
            lines.feed(text)

        return listen

    def add(self, name: str, child: subprocess.Popen[bytes]) -> subprocess.Popen[bytes]:
        """Watch a child; returns it."""
        self._processes[name] = child
        return child

    def reap(self, others: Sequence[int] = ()) -> None:
        """Collect the processes that ended children left behind, but not `others`, which somebody else watches."""
        processes.reap([*others, *(child.pid for child in self._processes.values())])

    def crash(self) -> tuple[int, str] | None:
        """Return the exit status that follows from a child's end, and a few lines on it; None while all run."""
        for name, child in self._processes.items():
            if (status := child.poll()) is not None:
                telling = "".join(f"\n  {line}" for line in self._lines[name].telling())
                ending = exit_status.describe(status, exit_status.oom_kills() - self._oom_kills)
                words = f"{name} {ending}; everything was stopped"
                words += f"\nthe last it said:{telling}" if telling else ""
                words += f"\nlog: {self._log_path}\nstart again: {self._restart}"
                return 128 - status if status < 0 else status or 1, words
        return None
