"""The folder of one run: unpacked models, and the sockets of HAProxy and of the workers.

It lies in the server's own folder. Many systems remove what is older than 10 days from /tmp (systemd-tmpfiles(8)), and
a server without its unpacked models can start no worker any more.
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
# A socket's path has 107 bytes at most (unix(7)), and HAProxy binds to `haproxy.sock.<pid>.tmp` first.
MAX_PATH_BYTES = 80


class TempFolder:
    """One folder, empty at first, that this process holds until it removes it.

    Attributes:
        path: where it is.
    """

    def __init__(self, server_folder: Path | None) -> None:
        """Make it in a server's folder; under $TMPDIR without one, or where sockets cannot lie in there."""
        self.path = server_folder / NAME if server_folder is not None else Path()
        if server_folder is None or not _make(self.path):
            self.path = _make_elsewhere()
        # systemd-tmpfiles passes over a folder that somebody holds a lock on (tmpfiles.d(5)).
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        fcntl.flock(self._lock, fcntl.LOCK_SH)

    def remove(self) -> None:
        """Remove it with all that it holds."""
        os.close(self._lock)
        shutil.rmtree(self.path, ignore_errors=True)


def sweep(server_folder: Path, recorded: str | None) -> None:
    """Remove what a supervisor that was killed has left.

    Args:
        recorded: the path that its status names.
    """
    shutil.rmtree(server_folder / NAME, ignore_errors=True)
    if recorded is not None and Path(recorded).name.startswith(PREFIX):
        shutil.rmtree(recorded, ignore_errors=True)


def _make(folder: Path) -> bool:
    """Make a folder; return False where its path is too long for sockets, or its file system has none."""
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
