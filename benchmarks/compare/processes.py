"""The processes of a server: found, halted while others are measured, and how much memory they hold (Linux)."""

from __future__ import annotations

import ctypes
import os
import re
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

from benchmarks.compare.systems.server_process import stat, tree

_PR_SET_CHILD_SUBREAPER = 36
# The parts of the bundle, by what stands in their command lines.
PARTS = {"workers": "model_service_worker", "Java": "org.pytorch.serve.ModelServer", "HAProxy": "haproxy"}
REST = "the rest"


def adopt() -> None:
    """Become the parent of whatever a child leaves behind (prctl(2)), so that no server's process is out of sight."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants() -> set[int]:
    """The ids of all processes below this one that have not ended."""
    return tree({os.getpid()}) - {os.getpid()}


def halt(roots: Collection[int]) -> None:
    """Stop them where they are: they keep memory and connections, and use no core."""
    for pid in tree(roots):
        _signal(pid, signal.SIGSTOP)


def go_on(roots: Collection[int]) -> None:
    """Let them run again."""
    for pid in tree(roots):
        _signal(pid, signal.SIGCONT)


def end(pids: Collection[int]) -> None:
    """SIGKILL to those that still run: what a server left behind when it was stopped."""
    for pid in pids:
        _signal(pid, signal.SIGKILL)


def memory(roots: Collection[int]) -> float:
    """Bytes that these and all below them hold: each shared page in shares (PSS, proc(5))."""
    total = 0
    for pid in tree(roots):
        with suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
            found = re.search(r"^Pss: +(\d+) kB$", text, re.MULTILINE)
            total += int(found[1]) * 1024 if found else 0
    return float(total)


def processor_seconds(roots: Collection[int]) -> dict[str, float]:
    """What these and all below them have computed so far, by part of the bundle (proc(5): utime and stime)."""
    found = dict.fromkeys((*PARTS, REST), 0.0)
    for pid in tree(roots):
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
            part = next((name for name, word in PARTS.items() if word in command), REST)
            if fields := stat(pid):
                found[part] += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
