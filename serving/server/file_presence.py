"""Detection of files that were removed under a running server.

A cleaner of temporary files, or a person, may remove its sockets, tokens or unpacked models. Running workers still
answer, but new ones cannot start, their requests wait, and version commands fail.
"""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

from serving.proxy import haproxy, routing
from serving.runtime.instance import LOCK
from serving.torchserve import tokens

LOOK_SECONDS = 2.0


class Presence:
    """Watches the files that a running server needs: its own, and the unpacked models of its workers."""

    def __init__(self, folder: Path, temp: Path, *, proxy: bool) -> None:
        """Store where the server's files are: its folder, its temporary folder, and those of HAProxy if `proxy`."""
        sockets = (temp / routing.SOCKET, temp / haproxy.DEADLINE_SOCKET, folder / routing.FILE_NAME) if proxy else ()
        self._paths = (folder / LOCK, folder / tokens.FILE_NAME, temp, *sockets)
        self._unpacked = temp.resolve() / "models"
        self._next_look = 0.0
        self._missing_before: set[Path] = set()

    def loss(self, java: int) -> str | None:
        """Return a sentence on a file that was removed, or None. Checks at most once in LOOK_SECONDS.

        A missing model file is reported at the second check, because a version that is retired loses its files before
        its workers have ended.

        Args:
            java: process id of TorchServe, whose children are the workers.
        """
        if time.monotonic() < self._next_look:
            return None
        self._next_look = time.monotonic() + LOOK_SECONDS
        removed = next((path for path in self._paths if not path.exists()), None)
        if removed is None:
            missing = self._missing_manifests(java)
            removed = next(iter(sorted(missing & self._missing_before)), None)
            self._missing_before = missing
        return f"{removed} was removed while the server ran, maybe by a cleaner of temporary files" if removed else None

    def _missing_manifests(self, java: int) -> set[Path]:
        """Return the missing manifests of models whose workers run. A worker runs in the folder of its model.

        Cleaners go by age, and all files of a model have the age of its manifest.
        """
        folders = {_working_folder(pid) for pid in _children(java)}
        manifests = {folder / "MAR-INF" / "MANIFEST.json" for folder in folders if self._unpacked in folder.parents}
        return {manifest for manifest in manifests if not manifest.exists()}


def _children(parent: int) -> set[int]:
    """Return the children of all threads of a process."""
    children: set[int] = set()
    for path in Path(f"/proc/{parent}/task").glob("*/children"):
        with suppress(OSError):
            children |= {int(pid) for pid in path.read_text(encoding="ascii").split()}
    return children


def _working_folder(pid: int) -> Path:
    """Return the working folder of a process, even if it was removed, or `.` if the process has ended."""
    try:
        return Path(str(Path(f"/proc/{pid}/cwd").readlink()).removesuffix(" (deleted)"))
    except OSError:
        return Path()
