"""The server's log: lines from every thread, which one thread writes to a file that rotates or to standard output.

Logging never blocks and never fails, because a slow or full disk must not delay a request. A line that cannot be queued
is counted, and the log says how many lines are missing.

There are three kinds of lines. A request has a line of JSON with its id, which HAProxy writes. Lines of TorchServe and
its workers have the layout of deploy/torchserve/log4j2.xml. The supervisor's own lines get that layout from `logger`,
by the standard library's Formatter. Output of child processes is passed on unchanged.

Queue and rotation are our own code, because those of logging.handlers guarantee less. QueueHandler bounds the number of
records, not their bytes, and does not count what it drops. RotatingFileHandler loses a line on a full disk, and reports
that to standard error, which is on the same disk.
"""

from __future__ import annotations

import logging
import os
import re
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

MODE = 0o600
# Queue limit, for a slow disk. Lines beyond it are counted and dropped.
MAX_QUEUED_BYTES = 8 << 20
CHUNK_BYTES = 1 << 16
RETRY_SECONDS = 0.2
CLOSE_SECONDS = 5.0
STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
# As in deploy/torchserve/log4j2.xml, so that one pattern reads both.
LAYOUT = "%(asctime)s,%(msecs)03d %(levelname)-5s %(name)s - %(message)s"
TIME_LAYOUT = "%Y-%m-%dT%H:%M:%S"
_PREFIX = re.compile(r"^\d{4}-\d\d-\d\dT[\d:]+,\d{3} [A-Z]+ +\w+ - ")


class LogFile:
    """A file of at most `max_bytes`, with `backups` older files: server.log.1 (the newest), server.log.2 and so on.

    It also is standard output and standard error of this process, so that it has tracebacks too.
    """

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        """Open the file to append to it.

        Raises:
            OSError: the file cannot be opened.
        """
        self.path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._open()

    def write(self, data: bytes) -> int:
        """Write some of the data and return how many bytes. Rotates first if the file would become too large.

        Raises:
            OSError: nothing could be written.
        """
        data = data[: min(self._max_bytes, CHUNK_BYTES)]
        data = data[: data.rfind(b"\n") + 1] or data  # complete lines: none is split over two files
        stat = os.fstat(STANDARD_OUTPUT)
        if stat.st_size and stat.st_size + len(data) > self._max_bytes:
            self._rotate()
        elif self._is_gone(stat.st_ino):
            self._open()
        return os.write(STANDARD_OUTPUT, data)

    def _open(self) -> None:
        descriptor = open_log(self.path)
        try:
            os.dup2(descriptor, STANDARD_OUTPUT)
            os.dup2(descriptor, STANDARD_ERROR)
        finally:
            os.close(descriptor)

    def _is_gone(self, inode: int) -> bool:
        """Return whether the file was removed or renamed."""
        try:
            return self.path.stat().st_ino != inode
        except OSError:
            return True

    def _rotate(self) -> None:
        for number in range(self._backups, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            newer = self.path.with_name(f"{self.path.name}.{number - 1}") if number > 1 else self.path
            with suppress(FileNotFoundError):
                newer.replace(older)
        if not self._backups:
            self.path.unlink(missing_ok=True)
        self._open()


class StandardOutput:
    """Standard output: the terminal, Docker or systemd."""

    path = None

    def write(self, data: bytes) -> int:
        """Write some of the data and return how many bytes."""
        return os.write(STANDARD_OUTPUT, data)


class Log:
    """A queue of lines from any thread, which its own thread writes."""

    def __init__(self, output: LogFile | StandardOutput) -> None:
        self._output = output
        self._queue = deque[bytes]()
        self._queued_bytes = 0
        self._dropped = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    @property
    def location(self) -> str:
        """Return the path of the log, or "standard output"."""
        return os.path.relpath(self._output.path) if self._output.path is not None else "standard output"

    def write(self, text: str) -> None:
        """Log one line, or several that belong together. Returns at once."""
        data = text.encode(errors="replace") + b"\n"
        with self._changed:
            if self._queued_bytes + len(data) > MAX_QUEUED_BYTES:
                self._dropped += data.count(b"\n")
                return
            self._note_dropped()
            self._append(data)
            self._changed.notify()

    def close(self) -> None:
        """Write the lines in the queue, for at most CLOSE_SECONDS."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(CLOSE_SECONDS)

    def _append(self, data: bytes) -> None:
        self._queue.append(data)
        self._queued_bytes += len(data)

    def _note_dropped(self) -> None:
        """Log the number of lines that were dropped here."""
        if self._dropped:
            self._append(f"{self._dropped} lines of the log are missing here: the disk was full or too slow\n".encode())
            self._dropped = 0

    def _run(self) -> None:
        data = b""
        while True:
            with self._changed:
                while not (self._queue or data or self._closing):
                    self._changed.wait()
                data += b"".join(self._queue)
                self._queue.clear()
            if not data:
                return
            try:
                data = data[self._output.write(data) :]
            except OSError:
                if self._closing:
                    return
                time.sleep(RETRY_SECONDS)
            with self._changed:
                self._queued_bytes = len(data) + sum(map(len, self._queue))
                if not self._queue:
                    self._note_dropped()


class _LogHandler(logging.Handler):
    """Passes formatted records to a Log, which returns at once."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Log one record."""
        self._log.write(self.format(record))


def logger(log: Log, name: str) -> logging.Logger:
    """Return a logger whose lines have time, level and `name`, and go to `log` alone."""
    handler = _LogHandler(log)
    handler.setFormatter(logging.Formatter(LAYOUT, TIME_LAYOUT))
    named = logging.Logger(name, logging.INFO)
    named.addHandler(handler)
    return named


def message(line: str) -> str:
    """Return the message of a line that a `logger` wrote; any other line as it is."""
    return _PREFIX.sub("", line)


def open_log(path: Path) -> int:
    """Open a log to append to it, and return the descriptor. Only this user can read the file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE)
    os.fchmod(descriptor, MODE)
    return descriptor
