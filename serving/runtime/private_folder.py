"""Folders that only this user can open, for a server's tokens, sockets and log."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from serving.errors import StartError

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make(folder: Path) -> None:
    """Make a folder and its parent, or correct their modes and those of the files in the folder.

    Raises:
        StartError: one of the two belongs to another user, or is not a folder.
    """
    folder.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    _check_owner(folder.parent, trusted_users=(0,))
    folder.mkdir(FOLDER_MODE, exist_ok=True)
    check(folder)
    for path in (folder.parent, folder):
        if path.stat().st_uid == os.geteuid():
            path.chmod(FOLDER_MODE)
    for path in folder.iterdir():
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and mode & 0o077:
            path.chmod(FILE_MODE)


def check(folder: Path) -> None:
    """Check who owns a folder and its parent, before its files are trusted.

    The parent may belong to root: so does a container's volume.

    Raises:
        StartError: one of the two belongs to another user, or is not a folder.
        FileNotFoundError: one of the two does not exist.
    """
    _check_owner(folder.parent, trusted_users=(0,))
    _check_owner(folder)


def _check_owner(folder: Path, trusted_users: tuple[int, ...] = ()) -> None:
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise StartError(f"{folder} is a symbolic link: remove it, and the next start makes a folder in its place")
    if not stat.S_ISDIR(status.st_mode):
        raise StartError(f"{folder} is not a folder: remove it, and the next start makes one in its place")
    if status.st_uid not in (os.geteuid(), *trusted_users):
        raise StartError(
            f"{folder} belongs to user {status.st_uid}, and you are user {os.geteuid()}: run the command as that user, "
            "or use a checkout of your own"
        )
