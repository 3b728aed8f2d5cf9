"""Processes of a server: list them, pause them while another server is measured, read their memory and CPU (Linux)."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
# States of a process that has ended (proc(5)).
_ENDED = "ZX"
# Components of Torchlight, by a word of their command lines.
COMPONENTS = {"workers": "model_service_worker", "Java": "org.pytorch.serve.ModelServer", "HAProxy": "haproxy"}
OTHER = "other processes"


def become_subreaper() -> None:
    """Make this process the parent of orphaned descendants (prctl(2)), so that `descendants` lists them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants() -> set[int]:
    """Return the ids of all running processes below this one."""
    return tree({os.getpid()}) - {os.getpid()}


def tree(roots: Collection[int]) -> set[int]:
    """Return these processes and all below them that still run (proc(5))."""
    parents = {pid: int(fields[1]) for pid in all_pids() if (fields := stat(pid)) and fields[0] not in _ENDED}
    members = set(roots) & parents.keys()
    while children := {pid for pid, parent in parents.items() if parent in members} - members:
        members |= children
    return members


def all_pids() -> Collection[int]:
    """Return the ids of all processes of this machine."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (only names)


def stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/<pid>/stat after the name (proc(5)): state, parent and so on. None: no process."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def is_alive(pid: int) -> bool:
    """Return whether the process runs."""
    fields = stat(pid)
    return fields is not None and fields[0] not in _ENDED


def pause(roots: Collection[int]) -> None:
    """Send SIGSTOP to these and all below them. They keep memory and connections, and use no CPU."""
    for pid in tree(roots):
        _signal(pid, signal.SIGSTOP)


def resume(roots: Collection[int]) -> None:
    """Send SIGCONT to these and all below them."""
    for pid in tree(roots):
        _signal(pid, signal.SIGCONT)


def kill(pids: Collection[int]) -> None:
    """Send SIGKILL to those that still run: processes that a stopped server left behind."""
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def memory(roots: Collection[int]) -> float:
    """Return the bytes that these and all below them hold. Shared pages count in proportion (PSS, proc(5))."""
    total = 0
    for pid in tree(roots):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            pss = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
            total += int(pss[1]) * 1024 if pss else 0
    return float(total)


def cpu_seconds(roots: Collection[int]) -> dict[str, float]:
    """Return the CPU time of these and all below them, by component of Torchlight (proc(5): utime and stime)."""
    seconds = dict.fromkeys((*COMPONENTS, OTHER), 0.0)
    for pid in tree(roots):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
            component = next((name for name, word in COMPONENTS.items() if word in command), OTHER)
            if fields := stat(pid):
                seconds[component] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
