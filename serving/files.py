"""Small files that must survive a crash: written whole or not at all, and readable by this user alone."""

from __future__ import annotations

import os
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Replace a file: write beside it, fsync, rename, fsync the folder. A kill leaves the old one or the new."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    _sync_folder(path.parent)


def private(path: str, flags: int) -> int:
    """Open a file so that only this user may read it: the `opener` of open()."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def append_line(path: Path, line: str) -> None:
    """Add one line and fsync. A line that a kill cut short is ended first, so that it spoils no other."""
    with open(path, "a+b", opener=private) as file:
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
