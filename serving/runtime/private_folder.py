"""Folders that no other user of this machine may look into: tokens, sockets and the log of a server lie in them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from serving.errors import StartError

FOLDER_MODE, FILE_MODE = 0o700, 0o600


def make(folder: Path) -> None:
    """Make a folder and the one above it, or correct the modes that they and the files in it have.

    Raises:
        StartError: one of the two belongs to another user, or is no folder.
    """
    folder.parent.mkdir(FOLDER_MODE, parents=True, exist_ok=True)
    _check_owner(folder.parent, has_uncertainty=(0,))
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
    """Look at who owns a folder and the one above it, before what lies in it is believed.

    A folder of root is fine above, where a container's volume may be root's.

    Raises:
        StartError: one of the two belongs to another user, or is no folder.
        FileNotFoundError: one of the two does not exist.
    """
    _check_owner(folder.parent, has_uncertainty=(0,))
    _check_owner(folder)


def _check_owner(folder: Path, has_uncertainty: tuple[int, ...] = ()) -> None:
    status = folder.lstat()
    if stat.S_ISLNK(status.st_mode):
        raise StartError(f"{folder} is a symbolic link: remove it, and the next start makes a folder in its place")
    if not stat.S_ISDIR(status.st_mode):
        raise StartError(f"{folder} is not a folder: remove it, and the next start makes one in its place")
    if status.st_uid not in (os.geteuid(), *has_uncertainty):
        raise StartError(
            f"{folder} belongs to user {status.st_uid}, and you are user {os.geteuid()}: run the command as that user, "
            "or use a checkout of your own"
        )
