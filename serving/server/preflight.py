"""Checks before a start, so that a problem is one line of the command and not a line of a log."""

from __future__ import annotations

import shutil
from pathlib import Path

from serving.errors import StartError
from serving.runtime import atomic_files
from serving.server.launch_options import Launch

# An unpacked model is larger than its archive by this ratio. Sockets and Java's logs need SPARE_BYTES.
UNPACKED_RATIO = 1.2
SPARE_BYTES = 20_000_000


def check(launch: Launch, folder: Path, temp: Path) -> None:
    """Check that the archives can be read, and that the disk has space to unpack each of them for every role.

    Raises:
        StartError: a check failed. The message says what to do.
    """
    launch.check()
    needed = SPARE_BYTES
    for path in (archive.path for archive in launch.archives):
        try:
            with path.open("rb") as file:
                file.read(1)
            needed += int(path.stat().st_size * UNPACKED_RATIO) * len(launch.role_counts.roles)
        except OSError as error:
            raise StartError(f"{path} cannot be read ({error.strerror}): check its owner and mode") from None
    for writable in (folder, temp):
        try:
            atomic_files.check_space(writable)
        except OSError as error:
            raise StartError(f"{writable} cannot be written to ({error.strerror}): free some space there") from None
    if (free := shutil.disk_usage(temp).free) < needed:
        raise StartError(
            f"{temp} has {free / 1e6:.0f} MB free; unpacking the models needs {needed / 1e6:.0f} MB: free some space"
        )
