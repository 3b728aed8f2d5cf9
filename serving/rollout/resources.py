"""Memory and disk that a candidate needs beside the stable version, and what is free."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from serving.artifacts import mar, store
from serving.artifacts.store import Archive
from serving.rollout.interfaces import Registry

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


@dataclass(frozen=True, slots=True)
class Resources:
    """Memory and disk in bytes.

    Attributes:
        needed_memory: estimate for the candidate's workers, from those of the stable version. Without GPU memory.
        free_memory: memory that this machine or container can still give.
        needed_disk: bytes that TorchServe unpacks, once for each role.
        free_disk: free bytes of the file system of `folder`.
        folder: folder that TorchServe unpacks into.
    """

    needed_memory: int
    free_memory: int
    needed_disk: int
    free_disk: int
    folder: Path


def measure(registry: Registry, temp: Path, model: str, stable: str, archive: Archive) -> Resources:
    """Measure for a candidate that gets as many workers as the stable version has.

    Args:
        temp: folder that TorchServe unpacks into.
        archive: the candidate's.

    Raises:
        ManagementError: TorchServe does not answer.
        ArchiveError: the archive is missing or damaged.
    """
    registered = registry.find(model, stable)
    registrations = registered.roles.values() if registered else ()
    pids = [worker.pid for registration in registrations for worker in registration.workers]
    with mar.opened(archive.path) as opened:
        unpacked = sum(member.file_size for member in opened.infolist())
    # The stable version's workers show what code and libraries take; larger weights come on top, in each worker.
    growth = max(0, archive.path.stat().st_size - _size(store.path_of(model, stable, archive.path.parent)))
    return Resources(
        needed_memory=memory_of(pids) + growth * len(pids),
        free_memory=free_memory(),
        needed_disk=unpacked * max(1, len(registrations)),
        free_disk=shutil.disk_usage(temp).free,
        folder=temp,
    )


def memory_of(pids: Iterable[int]) -> int:
    """Return the memory of processes in bytes; those that have ended count as 0.

    On Linux it is the proportional set size: a page that several processes share is divided among them. Elsewhere, and
    for processes of another user, it is the resident set size.
    """
    total = 0
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            try:
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.rss)
            except psutil.AccessDenied:
                total += process.memory_info().rss
    return total


def free_memory(cgroups: Path = _CGROUPS, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Return the bytes that new processes can get: of the machine, or less by the limits of the control groups (v2).

    A container and a systemd unit with MemoryMax= have such limits. A limit of any parent group counts.
    """
    free = int(psutil.virtual_memory().available)
    try:
        lines = own_cgroup.read_text(encoding="utf-8").splitlines()
    except OSError:  # no control groups on this system
        return free
    # The line of version 2 is `0::<path>`; lines of version 1 name their controllers.
    path = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    group = cgroups / path.strip("/")
    for folder in (group, *group.parents):
        if not folder.is_relative_to(cgroups):
            break
        with suppress(OSError, ValueError):  # no limit here: the file is missing, or its value is `max`
            limit = int((folder / "memory.max").read_text(encoding="ascii"))
            used = int((folder / "memory.current").read_text(encoding="ascii"))
            free = min(free, max(0, limit - used + _reclaimable(folder)))
    return free


def _reclaimable(group: Path) -> int:
    """Return the bytes of files in memory that the kernel drops first, as MemAvailable counts them too."""
    with suppress(OSError, ValueError):
        for line in (group / "memory.stat").read_text(encoding="ascii").splitlines():
            key, _, value = line.partition(" ")
            if key == "inactive_file":
                return int(value)
    return 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
