"""The folder of one run: unpacked models, and the sockets of HAProxy and of the workers.

It lies in the server's own folder. Many systems remove files older than 10 days from /tmp (systemd-tmpfiles(8)), and a
server without its unpacked models cannot start workers.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import tempfile
from pathlib import Path

NAME = "tmp"
PREFIX = "torchlight-"
# The path of a socket has at most 107 bytes (unix(7)), and HAProxy first binds to `haproxy.sock.<pid>.tmp`.
MAX_PATH_BYTES = 80


class TempFolder:
    """A temporary folder, empty at first, that this process locks until it removes it.

    Attributes:
        path: the path of the folder.
    """

    def __init__(self, server_folder: Path | None) -> None:
        """Make the folder in a server's folder, or under $TMPDIR if that does not exist or cannot hold sockets."""
        self.path = server_folder / NAME if server_folder is not None else Path()
        if server_folder is None or not _make(self.path):
            self.path = _make_elsewhere()
        # systemd-tmpfiles skips a folder that a process has locked (tmpfiles.d(5)).
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def remove(self) -> None:
        """Remove the folder and its content."""
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(server_folder: Path, recorded: str | None) -> None:
    """Remove the temporary folder of a supervisor that was killed.

    Args:
        recorded: the path of the folder by the supervisor's status.
    """
    shutil.rmtree(server_folder / NAME, ignore_errors=True)
    if recorded is not None and Path(recorded).name.startswith(PREFIX):
        shutil.rmtree(recorded, ignore_errors=True)


def _make(folder: Path) -> bool:
    """Make a folder. Return False if its path is too long for sockets, or its file system does not support them."""
    if len(os.fsencode(folder)) > MAX_PATH_BYTES:
        return False
    folder.mkdir(0o700)
    probe = folder / "probe.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(probe))
        except OSError:
            folder.rmdir()
            return False
    probe.unlink()
    return True


def _make_elsewhere() -> Path:
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    if len(os.fsencode(folder)) > MAX_PATH_BYTES:
        folder.rmdir()
        folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir="/tmp"))
    return folder
