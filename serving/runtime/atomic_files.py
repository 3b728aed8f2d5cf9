"""Atomic writes of small files that must survive a crash. Only this user can read the files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Size that `check_space` tries to write: more than a command writes into a server's folder.
RESERVE_BYTES = 1 << 16


def write(path: Path, text: str) -> None:
    """Replace a file: write a draft, fsync, rename, fsync the folder. A kill leaves the old file or the new one.

    Raises:
        OSError: the file cannot be written. The old one is unchanged. The error names the file.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with _named(path):
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def check_space(folder: Path) -> None:
    """Write a small file and remove it, so that a command on a full or read-only disk fails before it changes anything.

    Raises:
        OSError: the folder cannot be written to. The error names the folder.
    """
    draft = folder / f".space.{os.getpid()}"
    with _named(folder):
        try:
            draft.write_bytes(bytes(RESERVE_BYTES))
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put a path into errors: an error of a write to an open file names no path."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None


def private(path: str, flags: int) -> int:
    """Open a file that only this user can read, as an `opener` of open()."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def append_line(path: Path, line: str) -> None:
    """Append one line and fsync. If a kill cut the last line short, a line end is added first.

    Raises:
        OSError: the line cannot be written. The error names the file.
    """
    with _named(path), open(path, "a+b", opener=private) as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
